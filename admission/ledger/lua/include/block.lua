-- Leaving a block. A pending slot is never freed at once: an abandoned dial may still land.

--@include review
--@include live

local function leave_block(rid, at, by_value)
  local booked = reservation(rid)
  if not booked then
    return UNKNOWN
  end
  count_gone(booked)
  booked.open = 0
  if booked.settle ~= NONE and (by_value or booked.placed == 1) then
    booked.settle = math.min(booked.settle, at + booked.lag)
  end
  review(rid, booked)
  return OK
end
