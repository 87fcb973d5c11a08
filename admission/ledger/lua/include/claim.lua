-- Book a claim of a caller that has waited `waited_ms`: if its call is placed at all, it is placed within the placement timeout. See `room.py`.
do
  local booked = NEW_RESERVATION
  booked.process, booked.lane, booked.kind, booked.claimed = process, lane, kind, now
  booked.timeout, booked.lag, booked.open = timeout_ms, lag_ms, 1
  booked.settle, booked.over_at = now + timeout_ms + lag_ms, now + duration_ms
  keep(rid, booked)
  charge(lane, waited_ms)
  if state.pace > 0 then
    clock.paced_until = math.max(next_start(), now * 1000) + state.pace
  end
  if clock.claimed ~= 0 then
    -- Of the time since the last claim, only that in which somebody stood in line tells how slots are freed.
    local late = math.min(now - clock.claimed, math.max(waited_ms, state.refresh), RETRY_MAX_MS)
    clock.gap = clock.gap + math.floor((late - clock.gap) / 8)
  end
  clock.claimed = now
end
