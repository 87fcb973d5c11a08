-- call_ended: a call is over, by its id; an id that is not known yet is remembered as ended.
--
-- ARGV[1]     call_id        text
-- returns     code
-- writes      drops the reservation, remembers the call id as ended
-- atomicity   all or nothing; sent again it changes nothing

local call_id = unpack(ARGV, first, last)

--@include binding
--@include end_call

code = end_call(binding(call_id) or '', call_id)
