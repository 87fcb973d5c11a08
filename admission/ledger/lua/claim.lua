-- claim: claim the slot that was offered to a seat. Refused, the seat stays and the offer is lost.
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
-- ARGV[7]  lane           text
-- ARGV[8]  kind           Kind
-- ARGV[9]  timeout_ms     ms
-- ARGV[10] lag_ms         ms
-- ARGV[11] duration_ms    ms
-- returns    code now_ms epoch since_ms waiting due_at_ms next_at_ms age_ms position limit in_use retry_after_ms
--            usage_age_ms pause_reason error
-- writes     books the reservation and gives the seat up, or takes the offer back; the one TTL of all keys (twice
--            max_call_duration, at least 1 h) is renewed when a quarter has gone; none while paused
-- atomicity  all or nothing; sent again it finds its claim, and takes no second one

local keys = KEYS
local run_id, process, epoch, policy, seat, rid, lane, kind, timeout_ms, lag_ms, duration_ms = unpack(ARGV)
epoch, kind, timeout_ms, lag_ms = tonumber(epoch), tonumber(kind), tonumber(timeout_ms), tonumber(lag_ms)
duration_ms = tonumber(duration_ms)
local wanted = {'r' .. rid, 's' .. seat}

--@include keep
--@include room
--@include open

local line = the_line()
me.asked = now
-- A claim proves that the process lives, also one that finds its offer lapsed.
local was_passed_over = me.silent == 1 or me.passed_until > now
me.silent, me.passed_until = 0, 0
if was_passed_over then
  line.let_back(process, me)
end
line.serve()

local owner, booked = line.owner_of(seat), reservation(rid)
local code, tail
local granted, ahead = 0, owner and line.position(seat) or number_of('waiting')
if booked then
  code, granted, ahead = GRANTED, now - booked.claimed, 0
elseif not owner then
  code = UNKNOWN
elseif not line.is_offered(seat) then
  code = closed() or IN_LINE
elseif room() == 0 then
  line.take_back(seat, owner)
  code = closed() or SATURATED
else
  me.span = 0
  line.give_up(seat)
--@inline claim
  code, ahead = GRANTED, 0
end

--@inline verdict
--@inline reply
