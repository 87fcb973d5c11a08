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

local owner, booked = line.owner_of(seat), reservation(rid)
local granted, ahead = 0, owner and line.position(seat) or number_of('waiting')
if booked then
  code, granted, ahead = GRANTED, now - booked.claimed, 0
elseif not owner then
  code = UNKNOWN
elseif not line.is_offered(seat) then
  code = closed() or IN_LINE
elseif room() == 0 then
  line.take_back(seat, owner)
  code = closed() or SATURATED
else
  me.span = 0
  line.give_up(seat)
--@inline claim
  code, ahead = GRANTED, 0
end

--@inline verdict
