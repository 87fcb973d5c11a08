-- What may be claimed. See `book.py`.

--@include records

local function cools()
  return state.cool_span > 0 and (now < state.cool_until or state.t0 <= state.cool_after)
end

--- Say why nothing may be claimed, if so.
local function closed()
  if state.pause_on == 1 then
    return PAUSED
  end
  if state.t0 <= state.open_after or state.t0 < 0 or now - state.t0 > state.staleness then
    return UNREAD
  end
  return cools() and SATURATED or nil
end

local function in_use()
  return math.max(0, state.count, number_of('held')) + number_of('pending')
end

--- Return how many slots may be claimed now.
local function room()
  return closed() and 0 or math.max(0, state.limit - state.headroom - in_use())
end
