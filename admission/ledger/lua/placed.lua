-- placed: the provider has accepted the call; one claimed after a cool-down ends that for good.
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
-- ARGV[5]  rid            text
-- ARGV[6]  age_ms         ms since the provider accepted it
-- ARGV[7]  late           0 or 1: after its placement deadline
-- ARGV[8]  leaving        0 or 1: the block is left too
-- ARGV[9]  call_id        text or empty
-- ARGV[10] lane           text
-- ARGV[11] kind           Kind
-- ARGV[12] claimed_ms     ms since the claim
-- ARGV[13] timeout_ms     ms
-- ARGV[14] lag_ms         ms
-- ARGV[15] left_ms        ms until max_call_duration is over
-- returns    code now_ms epoch since_ms waiting due_at_ms next_at_ms
-- writes     moves the reservation's settle time, binds its call id; a late one books it again; the one TTL of all keys
--            (twice max_call_duration, at least 1 h) is renewed when a quarter has gone; none while paused
-- atomicity  all or nothing; sent again it changes nothing

local keys = KEYS
local run_id, process, epoch, policy, rid, age_ms, late, leaving, call_id, lane, kind, claimed_ms, timeout_ms,
  lag_ms, left_ms = unpack(ARGV)
epoch, age_ms, late, leaving = tonumber(epoch), tonumber(age_ms), tonumber(late), tonumber(leaving)
kind, claimed_ms, timeout_ms, lag_ms = tonumber(kind), tonumber(claimed_ms), tonumber(timeout_ms), tonumber(lag_ms)
left_ms = tonumber(left_ms)
local wanted = {'r' .. rid, 'c' .. call_id}

--@include booking
--@include binding
--@include end_call
--@include block
--@include open

local at = now - age_ms

local function placed()
  local booked = reservation(rid)
  local claimed = booked and booked.claimed or now - claimed_ms
  if state.cool_span > 0 and claimed > state.cool_since then
    state.cool_span, state.cool_since, state.cool_after, state.cool_until = 0, -1, -1, 0
    state_changed = true
  end
  if call_id ~= '' and binding(call_id) == '' then
    end_call(rid, call_id)
    return OK
  end
  if not booked then
    if late == 0 then
      return UNKNOWN
    end
    booked = new_reservation(lane, kind, claimed, timeout_ms, lag_ms, now + left_ms)
  end
  booked.placed = 1
  if late == 1 then
    booked.held = 0
    booked.settle = at + booked.lag
  elseif booked.settle ~= NONE then
    booked.settle = math.min(booked.settle, at + booked.lag)
  end
  if call_id ~= '' then
    bind(rid, booked, call_id)
  end
  review(rid, booked)
  return late == 1 and LATE or OK
end

local code = placed()
if leaving == 1 then
  leave_block(rid, at, true)
end
local tail = {}

--@inline reply
