-- call_ended: a call is over, by its id; an id that is not known yet is remembered as ended.
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
-- ARGV[5]  call_id        text
-- returns    code now_ms epoch since_ms waiting due_at_ms next_at_ms
-- writes     drops the reservation, remembers the call id as ended; the one TTL of all keys (twice max_call_duration,
--            at least 1 h) is renewed when a quarter has gone; none while paused
-- atomicity  all or nothing; sent again it changes nothing

local keys = KEYS
local run_id, process, epoch, policy, call_id = unpack(ARGV)
epoch = tonumber(epoch)
local wanted = {'c' .. call_id}

--@include binding
--@include end_call
--@include open

local code, tail = end_call(binding(call_id) or '', call_id), {}

--@inline reply
