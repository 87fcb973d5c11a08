-- What is told of lanes, by and to the processes. See `lanes.py`.

--@include lanes

--- Return all lanes as they are told, one after another, each followed by what `more` returns.
local function lane_rows(tail, more)
  for _, terms in ipairs(all_lanes()) do
    for field = 1, 10 do
      tail[#tail + 1] = terms[field]
    end
    for _, number in ipairs(more and more(terms.name) or {}) do
      tail[#tail + 1] = number
    end
  end
  return tail
end

--- A word on lanes has come.
local function lanes_changed()
  state.lanes_at = math.max(now, state.lanes_at + 1)
  state_changed = true
  if not lanes[DEFAULT] then
    local terms = NEW_LANE
    terms.name = DEFAULT
    lanes[#lanes + 1], lanes[DEFAULT] = terms, terms
  end
  keep_lanes()
end

--- Return when a new word on a lane came, later than all before: one told again may be of a clock that was ahead.
local function stamp_of(known)
  return math.max(now, state.lanes_at + 1, known.at + 1)
end

--- Return a lane's own terms, entered when it is new.
local function enter_lane(name)
  local all = all_lanes()
  if not all[name] then
    local terms = NEW_LANE
    terms.name = name
    all[#all + 1], all[name] = terms, terms
  end
  return all[name]
end
