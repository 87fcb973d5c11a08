-- A call is surely over, or was surely never placed: out of the books at once. See `rule.py`.

--@include twin
--@include drop
--@include live

local function end_call(rid, call_id)
  local booked = reservation(rid)
  if call_id == '' and booked then
    call_id = booked.call_id
  end
  if call_id ~= '' then
    local other, twin = twin_of(rid, call_id)
    if other then
      drop(other, twin)
    end
    if read('c' .. call_id) then
      write('c' .. call_id, false)
    end
    add_due('c' .. call_id, now + REMEMBER_MS)
  end
  if not booked then
    return UNKNOWN
  end
  count_gone(booked)
  drop(rid, booked)
  return OK
end
