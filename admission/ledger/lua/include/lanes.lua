-- The lanes of an account: what is told of them, and whose turn it is. See `lanes.py`.
--
--   lanes      h<lane>\0<score><seat> the first seat without an offer of each process that is not passed over,
--              o<lane>\0<seat> an open offer, b<lane>\0<rid> a reservation of a lane other than the default

--@include records

local lanes, untold

--- Return the terms of all lanes, in the order of their coming and by name; none until a lane is told of.
local function all_lanes()
  if not lanes then
    lanes = {}
    local text, at = read('lanes'), 1
    while text and at <= #text do
      local terms = UNPACK_LANE(text, at)
      at = terms[#terms]
      lanes[#lanes + 1] = terms
      lanes[terms.name] = terms
    end
  end
  return lanes
end

local function keep_lanes()
  local packed = {}
  for index, terms in ipairs(lanes) do
    packed[index] = PACK_LANE(terms)
  end
  write('lanes', table.concat(packed))
end

--- Return a lane's terms; one that the ledger has lost is served as the default.
local function lane_of(name)
  local all = all_lanes()
  local terms = all[name] or all[DEFAULT] or untold
  if not terms then
    terms = NEW_LANE
    terms.name = DEFAULT
    untold = terms
  end
  return terms
end

local function is_lane(name)
  return name == DEFAULT or all_lanes()[name] ~= nil
end

--- Return the known lanes, for an error's text.
local function lane_names()
  local names = {DEFAULT}
  for _, terms in ipairs(all_lanes()) do
    if terms.name ~= DEFAULT then
      names[#names + 1] = terms.name
    end
  end
  table.sort(names)
  return table.concat(names, ', ')
end

local function any_paused()
  for _, terms in ipairs(all_lanes()) do
    if terms.paused == 1 then
      return true
    end
  end
  return false
end

local function cost_of(terms)
  return math.floor(COST_OF_WEIGHT / terms.weight)
end

--- Return a lane's priority; the default's is the lowest, unless it was told another.
local function priority_of(terms)
  if terms.priority >= 0 then
    return terms.priority
  end
  local lowest = 0
  for _, other in ipairs(all_lanes()) do
    lowest = math.max(lowest, other.priority)
  end
  return lowest
end

--- Return the priority of a waiter: `promote_after` lifts it by one for each such span of waiting.
local function level_of(terms, waited)
  local lifted = terms.promote > 0 and math.floor(math.max(0, waited) / terms.promote) or 0
  return math.max(0, priority_of(terms) - lifted)
end

--- Return when, in virtual time, the lane's next grant at a priority starts.
local function start_of(terms, level)
  local newest = 0
  for _, other in ipairs(all_lanes()) do
    if other.level == level then
      newest = math.max(newest, other.start)
    end
  end
  return terms.level == level and math.max(newest, terms.finish) or newest
end

--- A slot was granted in a lane, to a caller that had waited.
local function charge(lane, waited)
  if #all_lanes() == 0 then
    return
  end
  local terms = lane_of(lane)
  local level = level_of(terms, waited)
  terms.start = start_of(terms, level)
  terms.level, terms.finish = level, terms.start + cost_of(terms)
  keep_lanes()
end

--- Return how many a lane has in `lanes` under a letter: o<ffers> or b<ooked reservations>.
local function number_in(letter, lane)
  if letter == 'o' and number_of('offers') == 0 then
    return 0
  end
  local prefix = letter .. lane .. '\0'
  if not counted[prefix] then
    local number = redis.call('ZLEXCOUNT', settled(keys.lanes), '[' .. prefix, '(' .. letter .. lane .. '\1')
    if letter == 'b' and lane == DEFAULT then
      -- All that are booked, less those of other lanes.
      number = redis.call('ZLEXCOUNT', settled(keys.processes), '[h', '(p') - redis.call('ZLEXCOUNT', settled(keys.lanes), '[b', '(c')
    end
    counted[prefix] = number
  end
  return counted[prefix]
end

--- Return how many wait in a lane.
local function waiting_in(lane)
  if number_of('waiting') == 0 then
    return 0
  end
  local name = 'w' .. lane .. '\0'
  if not counted[name] then
    counted[name] = redis.call('ZLEXCOUNT', settled(keys.line), '[' .. lane .. '\0', '(' .. lane .. '\1')
  end
  return counted[name]
end

--- Return how many are likely to be served before a caller that has `rank` others of its lane before it.
local function ahead_of(lane, rank)
  local mine, total = lane_of(lane), rank
  if number_of('waiting') == 0 then
    return total
  end
  local priority, cost = priority_of(mine), cost_of(mine)
  for _, terms in ipairs(all_lanes()) do
    if terms.name ~= lane then
      local theirs = priority_of(terms)
      if theirs < priority then
        total = total + waiting_in(terms.name)
      elseif theirs == priority then
        total = total + math.min(waiting_in(terms.name), math.floor((rank + 1) * cost / cost_of(terms)))
      end
    end
  end
  return total
end
