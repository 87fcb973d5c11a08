-- What may be claimed. See `room.py`.

--@include records
--@include lanes

local function cools()
  return state.cool_span > 0 and (now < state.cool_until or state.t0 <= state.cool_after)
end

--- Say why nothing may be claimed, by anybody or in a lane, if so.
local function closed(terms)
  if state.pause_on == 1 or (terms and terms.paused == 1) then
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

--- Return how many slots are free, headroom included; 0 while nothing may be claimed.
local function free_slots()
  return closed() and 0 or math.max(0, state.limit - in_use())
end

--- Return when the next start is due, in microseconds: one gap of the present pace after the last at most.
local function next_start()
  return math.min(clock.paced_until, clock.claimed * 1000 + 999 + state.pace)
end

--- Return how many may start now: one for each `pace`, and none is saved up.
local function starts()
  if state.pace == 0 then
    return UNPACED
  end
  local left = now * 1000 + 999 - math.max(next_start(), now * 1000)
  return left >= 0 and math.floor(left / state.pace) + 1 or 0
end

--- Say whether a slot may be given to a lane where `free` are free and the lane has open `offers`.
local function may_go(lane, terms, free, offers)
  local has_room = terms.cap == 0 or number_in('b', lane) + offers < terms.cap
  return has_room and terms.paused == 0 and free > math.max(state.headroom, terms.headroom)
end

--- Say what is wrong with an ask: there is no such lane, or its cap cannot be kept.
local function unfit(lane, terms, kind)
  if not is_lane(lane) then
    return NO_LANE
  end
  return kind == PLACE and terms.cap > 0 and UNTRACKED or nil
end
