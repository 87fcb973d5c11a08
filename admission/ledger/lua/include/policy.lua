-- How settings are read, and what follows from them. See `wire.py` and `book.py`.

--- Return the settings of a policy's text as an array, in the order in which `state` has them.
local function parse_policy(text)
  local settings = {}
  for digits in string.gmatch(text, '-?%d+') do
    settings[#settings + 1] = tonumber(digits)
  end
  return settings
end

--- Return the time that a new epoch's first reading must begin after: one beat tells all bookings again.
local function epoch_open_after()
  return state.opened + BEAT_MS + state.lag
end
