-- ask: claim a slot at once, or take a seat in the line. A newcomer goes first only where nobody who may go stands in
-- line.
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
-- ARGV[12] join           0 or 1: take a seat when nothing is free
-- ARGV[13] waited_ms      ms waited before, as in an epoch that is gone
-- returns    code now_ms epoch since_ms waiting due_at_ms next_at_ms age_ms position limit in_use retry_after_ms
--            usage_age_ms pause_reason error
-- writes     books the reservation, or enters the seat in the line; the one TTL of all keys (twice max_call_duration,
--            at least 1 h) is renewed when a quarter has gone; none while paused
-- atomicity  all or nothing; sent again it finds its claim or its seat, and takes no second one

local keys = KEYS
local run_id, process, epoch, policy, seat, rid, lane, kind, timeout_ms, lag_ms, duration_ms, join,
  waited_ms = unpack(ARGV)
epoch, kind, timeout_ms, lag_ms = tonumber(epoch), tonumber(kind), tonumber(timeout_ms), tonumber(lag_ms)
duration_ms, join, waited_ms = tonumber(duration_ms), tonumber(join), tonumber(waited_ms)
local wanted = {'r' .. rid, 's' .. seat}

--@include keep
--@include room
--@include open

me.asked = now
local known, booked = read('s' .. seat), reservation(rid)
local code, tail
local granted, ahead = 0, number_of('waiting')
if known == '' then
  code = WITHDRAWN
elseif booked then
  code, granted, ahead = GRANTED, now - booked.claimed, 0
elseif known then
  code, ahead = IN_LINE, the_line().position(seat)
elseif room() > number_of('offers') then
--@inline claim
  code, ahead = GRANTED, 0
elseif join == 0 then
  code = closed() or SATURATED
elseif ahead >= state.max_waiting then
  code = FULL
else
  local score = (now - waited_ms) * SCORES_PER_MS
  if waited_ms == 0 then
    score = math.max(clock.last_score + 1, score)
    clock.last_score = score
  end
  the_line().enter(seat, lane, score)
  code, ahead = IN_LINE, the_line().position(seat)
end

--@inline verdict
--@inline reply
