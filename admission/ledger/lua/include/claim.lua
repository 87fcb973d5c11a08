-- A claim: if its call is placed at all, it is placed within the placement timeout.

--@include booking
--@include keep

local function book_claim(rid, lane, kind, timeout_ms, lag_ms, duration_ms)
  local booked = new_reservation(lane, kind, now, timeout_ms, lag_ms, now + duration_ms)
  booked.open = 1
  booked.settle = now + timeout_ms + lag_ms
  keep(rid, booked)
  if clock.claimed ~= 0 then
    clock.gap = clock.gap + math.floor((math.min(now - clock.claimed, RETRY_MAX_MS) - clock.gap) / 8)
  end
  clock.claimed = now
end
