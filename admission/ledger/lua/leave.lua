-- leave: a block was left. A pending slot is never freed at once: an abandoned dial may still land.
--
-- ARGV[1]     rid            text
-- ARGV[2]     age_ms         ms since the block was left
-- ARGV[3]     by_value       0 or 1: by value, or by an error before `placed`
-- returns     code
-- writes      moves the reservation's settle time, or drops it when it is covered
-- atomicity   all or nothing; sent again it changes nothing

local rid, age_ms, by_value = unpack(ARGV, first, last)
age_ms, by_value = tonumber(age_ms), tonumber(by_value)

--@include block

code = leave_block(rid, now - age_ms, by_value == 1)
