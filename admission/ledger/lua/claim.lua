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

local keys = {
  account = KEYS[1], pending = KEYS[2], due = KEYS[3], processes = KEYS[4], line = KEYS[5], heads = KEYS[6],
  turns = KEYS[7],
}
local run_id, process, epoch, policy = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local seat, rid, lane, kind, timeout_ms = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local lag_ms, duration_ms = tonumber(ARGV[10]), tonumber(ARGV[11])
local wanted = {'r' .. rid, 's' .. seat}

--@include claim
--@include verdict
--@include open

local line = the_line()

local function claim()
  me.asked = now
  local was_passed_over = me.passed_until > now
  -- A claim proves that the process lives, also one that finds its offer lapsed.
  me.passed_until, me.silent = 0, 0
  if was_passed_over then
    line.let_back(process, me)
  end
  line.serve()
  local booked = reservation(rid)
  if booked then
    return GRANTED, verdict(now - booked.claimed, 0)
  end
  local owner = line.owner_of(seat)
  if not owner then
    return UNKNOWN, verdict(0, number_of('waiting'))
  end
  local ahead = line.position(seat)
  if not line.is_offered(seat) then
    return closed() or IN_LINE, verdict(0, ahead)
  end
  if room() == 0 then
    line.take_back(seat, owner)
    return closed() or SATURATED, verdict(0, ahead)
  end
  me.span = 0
  line.give_up(seat)
  book_claim(rid, lane, kind, timeout_ms, lag_ms, duration_ms)
  return GRANTED, verdict(0, 0)
end

return reply(claim())
