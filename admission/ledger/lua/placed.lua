-- placed: the provider has accepted the call; one claimed after a cool-down ends that for good.
--
-- ARGV[1]     rid            text
-- ARGV[2]     age_ms         ms since the provider accepted it
-- ARGV[3]     late           0 or 1: after its placement deadline
-- ARGV[4]     leaving        0 or 1: the block is left too
-- ARGV[5]     call_id        text or empty
-- ARGV[6]     lane           text
-- ARGV[7]     kind           Kind
-- ARGV[8]     claimed_ms     ms since the claim
-- ARGV[9]     timeout_ms     ms
-- ARGV[10]    lag_ms         ms
-- ARGV[11]    left_ms        ms until max_call_duration is over
-- returns     code
-- writes      moves the reservation's settle time, binds its call id; a late one books it again
-- atomicity   all or nothing; sent again it changes nothing

local rid, age_ms, late, leaving, call_id, lane, kind, claimed_ms, timeout_ms, lag_ms,
  left_ms = unpack(ARGV, first, last)
age_ms, late, leaving = tonumber(age_ms), tonumber(late), tonumber(leaving)
kind, claimed_ms, timeout_ms, lag_ms = tonumber(kind), tonumber(claimed_ms), tonumber(timeout_ms), tonumber(lag_ms)
left_ms = tonumber(left_ms)

--@include booking
--@include binding
--@include end_call
--@include block

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

code = placed()
if leaving == 1 then
  leave_block(rid, at, true)
end
