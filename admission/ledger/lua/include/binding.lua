-- Which reservation a call belongs to. See `rule.py`.

--@include twin
--@include drop

--- Return what a call id is bound to: a reservation, '' when the call is over, nil when the id is not known.
local function binding(call_id)
  return read('c' .. call_id) or (has(keys.due, 'c' .. call_id) and '' or nil)
end

--- Bind a call id; a call that was reported as started under it merges into the reservation.
local function bind(rid, booked, call_id)
  local other, twin = twin_of(rid, call_id)
  booked.call_id = call_id
  write('c' .. call_id, rid)
  add_due('c' .. call_id, math.max(now + REMEMBER_MS, booked.over_at))
  if other then
    if booked.settle ~= NONE then
      booked.settle = math.min(booked.settle, twin.settle == NONE and -1 or twin.settle)
    end
    drop(other, twin)
  end
end
