-- The accounting rule: put a reservation where it belongs. See `rule.py`.

--@include keep
--@include drop

--- Pending, held, covered and known, or out.
local function review(rid, booked)
  if booked.settle ~= NONE then
    if booked.settle >= state.covers_to then
      return keep(rid, booked)
    end
    booked.settle = NONE
  end
  local live = booked.open == 1 and booked.over_at ~= NONE
  local tracked = (booked.kind == TRACK or booked.kind == STARTED) and booked.placed == 1 and booked.over_at ~= NONE
  booked.held = live and booked.kind == HOLD and booked.placed == 1 and heard(booked.process) and 1 or 0
  if live or tracked then
    return keep(rid, booked)
  end
  local kept = reservation(rid)
  if kept then
    drop(rid, kept)
  end
end
