-- withdraw: a caller gave up; nothing that is still on its way can revive its seat.
--
-- KEYS[1]  account        hash: what the account has one of, and a record for each name in the book
-- KEYS[2]  pending        zset: reservations by settle time
-- KEYS[3]  due            zset: what time makes due, by that time
-- KEYS[4]  processes      zset: by name each process, its reservations and its seats
-- KEYS[5]  line           zset: seats by score
-- KEYS[6]  heads          zset: the first seat of each process that may be offered a slot, by score
-- KEYS[7]  turns          zset: open offers, and passed-over processes, by their end
-- ARGV[1]  run_id         text, the server's, or empty
-- ARGV[2]  process        text
-- ARGV[3]  epoch          number
-- ARGV[4]  policy         text, see PolicyWire
-- ARGV[5]  seat           text
-- ARGV[6]  rid            text
-- returns    code now_ms epoch since_ms waiting due_at_ms next_at_ms age_ms position limit in_use retry_after_ms
--            usage_age_ms pause_reason error
-- writes     gives the seat up, leaves a tombstone, drops a claim that the caller never learnt of; the one TTL of all
--            keys (twice max_call_duration, at least 1 h) is renewed when a quarter has gone; none while paused
-- atomicity  all or nothing; sent again it changes nothing but the tombstone's end

local keys = KEYS
local run_id, process, epoch, policy, seat, rid = unpack(ARGV)
epoch = tonumber(epoch)
local wanted = {'r' .. rid, 's' .. seat}

--@include end_call
--@include room
--@include open

local line = the_line()
local waits = line.owner_of(seat)
local code, tail = closed() or SATURATED, nil
local granted, ahead = 0, waits and line.position(seat) or number_of('waiting')
--@inline verdict
if waits then
  line.give_up(seat)
end
write('s' .. seat, '')
add_due('t' .. seat, now + TOMBSTONE_MS)
end_call(rid, '')

--@inline reply
