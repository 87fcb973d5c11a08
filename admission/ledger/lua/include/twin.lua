-- Two reservations under one call id. See `rule.py`.

--@include reservation

--- Return the other reservation under a call id, if it was booked when the call was reported as started.
-- Any other under the same id is a caller's mistake and keeps its slot: two calls may be live.
local function twin_of(rid, call_id)
  local other = read('c' .. call_id)
  local twin = other and other ~= rid and reservation(other)
  if twin and twin.kind == STARTED then
    return other, twin
  end
end
