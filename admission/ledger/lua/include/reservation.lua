-- A reservation is entered in the book by `keep` and `drop` only: in `pending` by settle time, and in `processes` under
-- its process as h<eld>, o<pen> or l<eft>, there by the end of `max_call_duration`. So `due` needs one entry for each
-- process, u<process>, at or before the first of these ends. A covered reservation has no settle time, one whose
-- `max_call_duration` is over no end: `NONE`.

--@include records

--- Return a reservation as it is kept, nil when it is not booked.
local function reservation(rid)
  local text = read('r' .. rid)
  return text and UNPACK_RESERVATION(text) or nil
end

local function entry_of(rid, booked)
  local letter = booked.held == 1 and 'h' or booked.open == 1 and 'o' or 'l'
  local over_at = booked.over_at == NONE and LAST_MS or math.min(booked.over_at, LAST_MS)
  return letter .. booked.process .. '\0' .. string.format('%013d', over_at) .. rid
end
