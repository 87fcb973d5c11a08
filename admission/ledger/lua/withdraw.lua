-- withdraw: a caller gave up; nothing that is still on its way can revive its seat.
--
-- ARGV[1]     seat           text
-- ARGV[2]     rid            text
-- returns     code age_ms position limit in_use retry_after_ms usage_age_ms pause_reason error
-- writes      gives the seat up, leaves a tombstone, drops a claim that the caller never learnt of
-- atomicity   all or nothing; sent again it changes nothing but the tombstone's end

local seat, rid = unpack(ARGV, first, last)

--@include end_call
--@include room

local line = the_line()
local place = line.place_of(seat)
local lane = place and place.lane or DEFAULT
code = closed(lane_of(lane)) or SATURATED
local granted, ahead = 0, place and line.position(seat) or ahead_of(lane, waiting_in(lane))
--@inline verdict
if place then
  line.give_up(seat)
end
write('s' .. seat, '')
add_due('t' .. seat, now + TOMBSTONE_MS)
end_call(rid, '')
