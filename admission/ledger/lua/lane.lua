-- lane: take words on lanes; the newest word on a lane counts.
--
-- ARGV[1]     how            Word
-- ARGV[2...]  lanes          10 for each lane: the fields of LaneWire, times in ms
-- returns     code lanes_at_ms changed lane...
-- writes      the lanes; withdraws the offers of a lane that is paused
-- atomicity   all or nothing; sent again it changes nothing, but a lane that is set gets a newer stamp

local how = unpack(ARGV, first, first)
how = tonumber(how)
local words = {}
for place = first + 1, last, 10 do
  local word = {name = ARGV[place], at = tonumber(ARGV[place + 1]), settings = {}}
  for index = 1, 5 do
    word.settings[index] = tonumber(ARGV[place + 1 + index])
  end
  word.declared, word.paused, word.reason = ARGV[place + 7], tonumber(ARGV[place + 8]), ARGV[place + 9]
  words[#words + 1] = word
end

--@include told
--@include line

--- Say how many lanes there would be.
local function number_told()
  local number, counted_names = 0, {}
  local function count(name)
    number = number + (counted_names[name] and 0 or 1)
    counted_names[name] = true
  end
  count(DEFAULT)
  for _, terms in ipairs(all_lanes()) do
    count(terms.name)
  end
  for _, word in ipairs(words) do
    count(word.name)
  end
  return number
end

--- Take a word on one lane; say whether it changes anything.
local function tell(word)
  local known = lane_of(word.name)
  if known.name ~= word.name then
    known = NEW_LANE
  end
  local text = table.concat(word.settings, ',')
  local at, declared, paused, reason = word.at, word.declared, word.paused, word.reason
  if how == RETELL then
    if at <= known.at then
      return false
    end
  elseif how == DECLARE and text == known.declared then
    return false -- a process that begins anew says nothing new
  else
    at, declared = stamp_of(known), how == DECLARE and text or known.declared
    paused, reason = known.paused, known.reason
  end
  local terms = enter_lane(word.name)
  terms.at, terms.declared, terms.paused, terms.reason = at, declared, paused, reason
  terms.priority, terms.weight, terms.headroom, terms.cap, terms.promote = unpack(word.settings)
  return true
end

local changed = {}
code = number_told() > MOST_LANES and FULL or OK
for _, word in ipairs(code == OK and words or {}) do
  if tell(word) then
    changed[#changed + 1] = word.name
  end
end
if #changed > 0 then
  lanes_changed()
end
for _, name in ipairs(changed) do
  local terms = lane_of(name)
  if terms.paused == 1 then
    the_line().withdraw_offers(name)
  end
end
tail = lane_rows({code, state.lanes_at, table.concat(changed, ',')})
