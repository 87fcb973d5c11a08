-- claim: claim the slot that was offered to a seat. Refused, the seat stays and the offer is lost.
--
-- ARGV[1]     seat           text
-- ARGV[2]     rid            text
-- ARGV[3]     lane           text
-- ARGV[4]     kind           Kind
-- ARGV[5]     timeout_ms     ms
-- ARGV[6]     lag_ms         ms
-- ARGV[7]     duration_ms    ms
-- returns     code age_ms position limit in_use retry_after_ms usage_age_ms pause_reason error
-- writes      books the reservation and gives the seat up, or takes the offer back
-- atomicity   all or nothing; sent again it finds its claim, and takes no second one

local seat, rid, lane, kind, timeout_ms, lag_ms, duration_ms = unpack(ARGV, first, last)
kind, timeout_ms, lag_ms = tonumber(kind), tonumber(timeout_ms), tonumber(lag_ms)
duration_ms = tonumber(duration_ms)

--@include keep
--@include room

local line = the_line()
me.asked = now
-- A claim proves that the process lives, also one that finds its offer lapsed.
local was_passed_over = me.silent == 1 or me.passed_until > now
me.silent, me.passed_until = 0, 0
if was_passed_over then
  line.let_back(process, me)
end
line.serve()

local place, booked, terms = line.place_of(seat), reservation(rid), lane_of(lane)
local granted, ahead = 0, place and line.position(seat) or ahead_of(lane, waiting_in(lane))
local wrong = unfit(lane, terms, kind)
if booked then
  code, granted, ahead = GRANTED, now - booked.claimed, 0
elseif not place then
  code = UNKNOWN
elseif not line.is_offered(seat) then
  code = wrong or closed(terms) or IN_LINE
elseif wrong or starts() == 0 or not may_go(lane, terms, free_slots(), 0) then
  line.take_back(seat, place)
  code = wrong or closed(terms) or SATURATED
else
  me.span = 0
  local waited_ms = now - math.floor(place.score / SCORES_PER_MS)
  line.give_up(seat)
--@inline claim
  code, ahead = GRANTED, 0
end

--@inline verdict
