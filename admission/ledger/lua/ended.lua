-- ended: a call is surely over, or was surely never placed (then without a call id).
--
-- ARGV[1]     rid            text
-- ARGV[2]     call_id        text or empty
-- returns     code
-- writes      drops the reservation, remembers the call id as ended
-- atomicity   all or nothing; sent again it changes nothing

local rid, call_id = unpack(ARGV, first, last)

--@include end_call

code = end_call(rid, call_id)
