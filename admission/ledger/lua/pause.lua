-- pause: pause or resume the account; the newest word counts.
--
-- ARGV[1]     on             0 or 1: resume or pause
-- ARGV[2]     reason         text
-- returns     code pause_at_ms
-- writes      the pause; withdraws all offers; removes the TTL of all keys, or sets it again
-- atomicity   the very next claim is refused

local on, reason = unpack(ARGV, first, last)
on = tonumber(on)

--@include pausing

set_pause(math.max(now, state.pause_at + 1), on, reason)
tail = {OK, state.pause_at}
