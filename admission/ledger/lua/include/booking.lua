-- A reservation that is not kept yet.

local function new_reservation(lane, kind, claimed, timeout_ms, lag_ms, over_at)
  local booked = NEW_RESERVATION
  booked.process, booked.lane, booked.kind, booked.claimed = process, lane, kind, claimed
  booked.timeout, booked.lag, booked.over_at = timeout_ms, lag_ms, over_at
  return booked
end
