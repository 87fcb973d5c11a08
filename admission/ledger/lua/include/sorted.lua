-- The sorted sets of an account. What a run changes in them goes out together: before the server is asked for what is in
-- that set, and at the run's end. The first entries that begin with a prefix are fetched once, and kept up to date.

local most = 16
local moved, windows = {}, {}

--- Say whether one text comes before another as the server orders them (Lua goes by its locale), where all before `at`
--- is known to be alike.
local function precedes(one, other, at)
  local last = math.min(#one, #other)
  -- Six bytes at a time: a number of Lua holds no more than that.
  while at + 5 <= last do
    local mine, theirs = struct.unpack('>I6', one, at), (struct.unpack('>I6', other, at))
    if mine ~= theirs then
      return mine < theirs
    end
    at = at + 6
  end
  while at <= last do
    local mine, theirs = string.byte(one, at), string.byte(other, at)
    if mine ~= theirs then
      return mine < theirs
    end
    at = at + 1
  end
  return #one < #other
end

--- Call a command with any number of arguments, an even number at a time: Lua passes some thousands at most.
local function send(command, key, arguments)
  for first = 1, #arguments, 1000 do
    redis.call(command, key, unpack(arguments, first, math.min(first + 999, #arguments)))
  end
end

--- Send what was changed in a set, so that the server may be asked; return its key.
local function settled(key)
  if not moved[key] then
    return key
  end
  local entered, gone = {}, {}
  for entry, score in pairs(moved[key]) do
    if score then
      entered[#entered + 1] = score
      entered[#entered + 1] = entry
    else
      gone[#gone + 1] = entry
    end
  end
  moved[key] = nil
  send('ZREM', key, gone)
  send('ZADD', key, entered)
  return key
end

local function move(key, entry, score)
  moved[key] = moved[key] or {}
  moved[key][entry] = score
end

--- Enter an entry in a set, or where it has moved to.
local function put(key, entry, score)
  move(key, entry, score or 0)
  for prefix, window in pairs(windows[key] or {}) do
    if string.sub(entry, 1, #prefix) == prefix then
      local at = #window
      while at > 0 and precedes(entry, window[at], #prefix + 1) do
        at = at - 1
      end
      if window[at] ~= entry and not (at == #window and window.more) then
        table.insert(window, at + 1, entry)
      end
    end
  end
end

--- Take an entry out of a set.
local function take(key, entry)
  move(key, entry, false)
  for _, window in pairs(windows[key] or {}) do
    for at, other in ipairs(window) do
      if other == entry then
        table.remove(window, at)
        break
      end
    end
  end
end

--- Say whether a set has an entry.
local function has(key, entry)
  local score = moved[key] and moved[key][entry]
  if score == nil then
    return redis.call('ZSCORE', key, entry) and true or false
  end
  return score and true or false
end

--- Say whether entries that begin with a text have moved since the server heard of any.
local function has_moved(key, prefix)
  for entry in pairs(moved[key] or {}) do
    if string.sub(entry, 1, #prefix) == prefix then
      return true
    end
  end
  return false
end

--- Return the first entry, of a set without scores, that begins with a text which ends with a zero.
local function first_with(key, prefix)
  windows[key] = windows[key] or {}
  local window = windows[key][prefix]
  if not window or (#window == 0 and window.more) then
    local to = '(' .. string.sub(prefix, 1, -2) .. '\1'
    if has_moved(key, prefix) then
      settled(key)
    end
    window = redis.call('ZRANGEBYLEX', key, '[' .. prefix, to, 'LIMIT', 0, most)
    window.more = #window == most
    windows[key][prefix] = window
  end
  return window[1]
end
