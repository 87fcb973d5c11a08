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

local keys = {
  account = KEYS[1], pending = KEYS[2], due = KEYS[3], processes = KEYS[4], line = KEYS[5], heads = KEYS[6],
  turns = KEYS[7],
}
local run_id, process, epoch, policy = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local seat, rid, lane, kind, timeout_ms = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local lag_ms, duration_ms, join = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local waited_ms = tonumber(ARGV[13])
local wanted = {'r' .. rid, 's' .. seat}

--@include claim
--@include verdict
--@include open

local function ask()
  me.asked = now
  local known = read('s' .. seat)
  if known == '' then
    return WITHDRAWN, verdict(0, number_of('waiting'))
  end
  local booked = reservation(rid)
  if booked then
    return GRANTED, verdict(now - booked.claimed, 0)
  end
  if known then
    return IN_LINE, verdict(0, the_line().position(seat))
  end
  if room() > number_of('offers') then
    book_claim(rid, lane, kind, timeout_ms, lag_ms, duration_ms)
    return GRANTED, verdict(0, 0)
  end
  if join == 0 then
    return closed() or SATURATED, verdict(0, number_of('waiting'))
  end
  if number_of('waiting') >= state.max_waiting then
    return FULL, verdict(0, number_of('waiting'))
  end
  local score = (now - waited_ms) * SCORES_PER_MS
  if waited_ms == 0 then
    score = math.max(clock.last_score + 1, score)
    clock.last_score = score
  end
  the_line().enter(seat, lane, score)
  return IN_LINE, verdict(0, the_line().position(seat))
end

return reply(ask())
