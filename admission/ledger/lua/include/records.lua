-- The account hash: two records of what the account has one of, and a record for each name in the book.
--
--   clock        what nearly every request changes
--   state        the rest: epoch, pause, agreed policy, newest reading, cool-down
--   p<process>   a process that is heard
--   r<rid>       a reservation
--   s<seat>      a seat, or '' for the tombstone of one
--   c<call_id>   the reservation that a call is bound to; an ended call has none, only its entry in `due`
--
-- A record is fetched once; what a request changes goes out together at its end. The names are those of `book.py`.

local call = redis.call
local now, clock, state

local texts, changes = {}, {}

--- Return a record's text, false when there is none.
local function read(field)
  local text = texts[field]
  if text == nil then
    text = call('HGET', account_key, field)
    texts[field] = text
  end
  return text
end

--- Keep a record's text, false to delete it.
local function write(field, text)
  texts[field] = text
  changes[field] = text
end

local function read_clock(text)
  local at = cmsgpack.unpack(text)
  return {
    last = at[1], offset = at[2], expires = at[3], heard = at[4], grace_until = at[5],
    claimed = at[6], gap = at[7], lapsed = at[8], last_score = at[9],
  }
end

local function write_clock()
  write('clock', cmsgpack.pack({
    clock.last, clock.offset, clock.expires, clock.heard, clock.grace_until,
    clock.claimed, clock.gap, clock.lapsed, clock.last_score,
  }))
end

local function read_state(text)
  local at = cmsgpack.unpack(text)
  return {
    epoch = at[1], opened = at[2], run_id = at[3],
    pause_at = at[4], pause_on = at[5], pause_reason = at[6],
    refresh = at[7], staleness = at[8], lease = at[9], headroom = at[10], max_waiting = at[11], lag = at[12],
    duration = at[13],
    limit = at[14], count = at[15], stamp = at[16], t0 = at[17], t1 = at[18], earlier = at[19], open_after = at[20],
    begun = at[21], reader = at[22], reader_until = at[23], fails = at[24], retry_at = at[25], mean = at[26],
    error = at[27],
    cool_span = at[28], cool_since = at[29], cool_after = at[30], cool_until = at[31],
    changed = false,
  }
end

local function write_state()
  write('state', cmsgpack.pack({
    state.epoch, state.opened, state.run_id,
    state.pause_at, state.pause_on, state.pause_reason,
    state.refresh, state.staleness, state.lease, state.headroom, state.max_waiting, state.lag,
    state.duration,
    state.limit, state.count, state.stamp, state.t0, state.t1, state.earlier, state.open_after,
    state.begun, state.reader, state.reader_until, state.fails, state.retry_at, state.mean,
    state.error,
    state.cool_span, state.cool_since, state.cool_after, state.cool_until,
  }))
end

local members = {}

--- Return what is known of a process, false when it is not heard.
local function member(process)
  local known = members[process]
  if known == nil then
    local text = read('p' .. process)
    known = false
    if text then
      local at = cmsgpack.unpack(text)
      known = {
        since = at[1], heard = at[2], policy = at[3], asked = at[4], barred = at[5], silent = at[6], span = at[7],
        passed_until = at[8], changed = false,
      }
    end
    members[process] = known
  end
  return known
end

--- Send every change: records first, so that the account hash exists when its TTL is set.
local function write_changes()
  write_clock()
  if state.changed then
    write_state()
  end
  for process, known in pairs(members) do
    if known and known.changed then
      write('p' .. process, cmsgpack.pack({
        known.since, known.heard, known.policy, known.asked, known.barred, known.silent, known.span,
        known.passed_until,
      }))
    end
  end
  local set, gone = {}, {}
  for field, text in pairs(changes) do
    if text then
      set[#set + 1] = field
      set[#set + 1] = text
    else
      gone[#gone + 1] = field
    end
  end
  -- Lua passes some thousands of arguments at most.
  for first = 1, #set, 1000 do
    call('HSET', account_key, unpack(set, first, math.min(first + 999, #set)))
  end
  for first = 1, #gone, 1000 do
    call('HDEL', account_key, unpack(gone, first, math.min(first + 999, #gone)))
  end
end

-- How many of each there are: counted by the server when first asked, then moved along with the members.

local counted = {}

local function adjust(what, by)
  if counted[what] then
    counted[what] = counted[what] + by
  end
end

local function count_pending()
  if not counted.pending then
    counted.pending = call('ZCARD', pending_key) - 1
  end
  return counted.pending
end

local function count_held()
  if not counted.held then
    counted.held = call('ZLEXCOUNT', processes_key, '[h', '(i')
  end
  return counted.held
end

local function count_waiting()
  if not counted.waiting then
    counted.waiting = call('ZCARD', line_key) - 1
  end
  return counted.waiting
end

local function count_offers()
  if not counted.offers then
    counted.offers = count_waiting() > 0 and call('ZLEXCOUNT', processes_key, '[f', '(g') or 0
  end
  return counted.offers
end
