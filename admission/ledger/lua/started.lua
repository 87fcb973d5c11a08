-- started: book a call that the fleet did not place.
--
-- ARGV[1]     rid            text
-- ARGV[2]     call_id        text
-- ARGV[3]     age_ms         ms since the provider accepted it
-- ARGV[4]     lag_ms         ms
-- ARGV[5]     duration_ms    ms
-- returns     code
-- writes      books the reservation and binds its call id, unless the id is known
-- atomicity   all or nothing; sent again it changes nothing

local rid, call_id, age_ms, lag_ms, duration_ms = unpack(ARGV, first, last)
age_ms, lag_ms, duration_ms = tonumber(age_ms), tonumber(lag_ms), tonumber(duration_ms)

--@include booking
--@include binding
--@include review

local function started()
  if reservation(rid) or binding(call_id) then
    return UNKNOWN
  end
  local booked = new_reservation('default', STARTED, now, 0, lag_ms, now + duration_ms)
  booked.placed = 1
  booked.settle = now - age_ms + lag_ms
  bind(rid, booked, call_id)
  review(rid, booked)
  return OK
end

code = started()
