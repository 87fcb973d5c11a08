-- refuse: the provider refused the call: cancel the booking, cool the fleet down, and take a seat at the head.
--
-- ARGV[1]     rid            text
-- ARGV[2]     age_ms         ms since the refusal
-- ARGV[3]     retry_after_ms ms, as the provider told it
-- ARGV[4]     seat           text, empty: do not wait
-- ARGV[5]     lane           text
-- ARGV[6]     kind           Kind
-- ARGV[7]     timeout_ms     ms
-- ARGV[8]     lag_ms         ms
-- ARGV[9]     duration_ms    ms
-- returns     code age_ms position limit in_use retry_after_ms usage_age_ms pause_reason error
-- writes      drops the reservation, withdraws all offers, opens or lengthens the cool-down, enters the seat
-- atomicity   all or nothing, so the caller never loses its place; sent again it finds its seat and cools no further

local rid, age_ms, retry_after_ms, seat, lane, kind, timeout_ms, lag_ms, duration_ms = unpack(ARGV, first, last)
age_ms, retry_after_ms = tonumber(age_ms), tonumber(retry_after_ms)
kind, timeout_ms, lag_ms, duration_ms = tonumber(kind), tonumber(timeout_ms), tonumber(lag_ms), tonumber(duration_ms)

--@include end_call
--@include room

--- Open the cool-down, or double it when the refused call was claimed after its end.
local function cool(at, claimed)
  local span = math.min(retry_after_ms, RETRY_MAX_MS)
  if state.cool_span == 0 or claimed > state.cool_since then
    local doubled = math.min(2 * state.cool_span, math.max(COOL_MAX_MS, state.refresh))
    state.cool_span = doubled > 0 and doubled or state.refresh
    state.cool_since = now
    span = math.max(span, state.cool_span)
  end
  state.cool_after = math.max(state.cool_after, at)
  state.cool_until = math.max(state.cool_until, at + span)
  state_changed = true
end

local booked = reservation(rid)
if booked then
  cool(now - age_ms, booked.claimed)
  end_call(rid, '')
  the_line().withdraw_offers()
end
local granted, ahead = 0, 0
if seat == '' then
  code = OK
else
  me.asked = now
  local known = read('s' .. seat)
  if known == '' then
    code, ahead = WITHDRAWN, ahead_of(lane, waiting_in(lane))
  else
    if not known then
      local first = the_line().first_score(lane)
      local score = math.min(now * SCORES_PER_MS, first or NEVER_MS) - 1
      the_line().enter(seat, score, seat, lane, kind, timeout_ms, lag_ms, duration_ms)
    end
    code, ahead = IN_LINE, the_line().position(seat)
  end
end

--@inline verdict
