-- The server's clock. Tests put a clock of their own in the place of this fragment.

--- Whole milliseconds since 1970.
local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
