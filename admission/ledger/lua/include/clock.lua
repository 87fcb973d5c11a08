-- The server's clock, in whole milliseconds since 1970. Tests put one of their own in the place of this fragment.

local server_time = redis.call('TIME')
local server_now_ms = server_time[1] * 1000 + math.floor(server_time[2] / 1000)
