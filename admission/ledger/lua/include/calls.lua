-- Calls by their id: which reservation a call belongs to, and that it is over. See `rule.py`.

--- Return what a call id is bound to: a reservation, '' when the call is over, nil when the id is not known.
local function binding(call_id)
  return read('c' .. call_id) or (redis.call('ZSCORE', keys.due, 'c' .. call_id) and '' or nil)
end

--- Return the other reservation under a call id, if it was booked when the call was reported as started.
-- Any other under the same id is a caller's mistake and keeps its slot: two calls may be live.
local function twin_of(rid, call_id)
  local other = read('c' .. call_id)
  local twin = other and other ~= rid and reservation(other)
  if twin and twin.kind == STARTED then
    return other, twin
  end
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

--- The call is surely over, or was surely never placed: out of the books at once.
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
  drop(rid, booked)
  return OK
end
