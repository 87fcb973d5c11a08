-- The account hash: two records of what the account has one of, and a record for each name in the book.
--
--   clock        what nearly every request changes
--   state        the rest: epoch, pause, agreed policy, newest reading, cool-down
--   p<process>   a process that is heard
--   r<rid>       a reservation
--   s<seat>      a seat, or '' for the tombstone of one
--   c<call_id>   the reservation that a call is bound to; an ended call has none, only its entry in `due`
--
-- A record is fetched once; what a request changes goes out together at its end.

local call = redis.call
local pack, unpack_record = cmsgpack.pack, cmsgpack.unpack
local now, clock, state, me
local state_changed = false

local texts, changes, members = {}, {}, {}

--- Return a record's text, false when there is none.
local function read(field)
  local text = texts[field]
  if text == nil then
    text = call('HGET', keys.account, field)
    texts[field] = text
  end
  return text
end

--- Keep a record's text, false to delete it.
local function write(field, text)
  texts[field] = text
  changes[field] = text
end

--- Return what is known of a process, false when it is not heard.
local function heard(name)
  local member = members[name]
  if member == nil then
    local text = read('p' .. name)
    member = text and unpack_record(text)
    members[name] = member
  end
  return member
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
    counted.pending = call('ZCARD', keys.pending) - 1
  end
  return counted.pending
end

local function count_held()
  if not counted.held then
    counted.held = call('ZLEXCOUNT', keys.processes, '[h', '(i')
  end
  return counted.held
end

local function count_waiting()
  if not counted.waiting then
    counted.waiting = call('ZCARD', keys.line) - 1
  end
  return counted.waiting
end

local function count_offers()
  if not counted.offers then
    counted.offers = count_waiting() > 0 and call('ZLEXCOUNT', keys.processes, '[f', '(g') or 0
  end
  return counted.offers
end

--- Enter what time will make due. Nobody looks into `due` before `clock.next_due`.
local function add_due(entry, at)
  call('ZADD', keys.due, at, entry)
  clock.next_due = math.min(clock.next_due, at)
end
