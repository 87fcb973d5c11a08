-- The age of the newest reading, -1 before the first.
local usage_age = state.t0 >= 0 and now - state.t0 or -1
