-- The account hash: three records of what the account has one of, and a record for each name in the book.
--
--   format       the number of the format of all that is stored; whatever else changes, this field stays where it is
--   clock        what nearly every request changes
--   state        the rest: epoch, pause, agreed policy, newest reading, cool-down
--   lanes        what is told of each lane, once a lane was told of
--   p<process>   a process that is heard
--   r<rid>       a reservation
--   s<seat>      a seat, or '' for the tombstone of one
--   c<call_id>   the reservation that a call is bound to; an ended call has none, only its entry in `due`
--
-- A record is fetched once; what a request changes goes out together at its end.

local now, clock, state, me
local state_changed = false
local texts, changes, members, counted = {}, {}, {}, {}

--@include sorted

--- Return a record's text, false when there is none.
local function read(field)
  local text = texts[field]
  if text == nil then
    text = redis.call('HGET', keys.account, field)
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
    member = text and UNPACK_MEMBER(text)
    members[name] = member
  end
  return member
end

--- Fetch records that will be needed, in one go.
local function fetch(one, other)
  if texts[one] == nil and texts[other] == nil then
    local found = redis.call('HMGET', keys.account, one, other)
    texts[one], texts[other] = found[1], found[2]
  end
end

--- Return how many are pending, held, waiting, or offered a slot, or have a turn: counted by the server when first asked.
local function number_of(what)
  local number = counted[what]
  if not number then
    if what == 'pending' then
      number = redis.call('ZCARD', settled(keys.pending)) - 1
    elseif what == 'waiting' then
      number = redis.call('ZCARD', settled(keys.line)) - 1
    elseif what == 'held' then
      number = redis.call('ZLEXCOUNT', settled(keys.processes), '[h', '(i')
    elseif what == 'turns' then
      number = redis.call('ZCARD', settled(keys.turns)) - 1
    else
      local any = number_of('waiting') > 0 and number_of('turns') > 0
      number = any and redis.call('ZLEXCOUNT', settled(keys.processes), '[f', '(g') or 0
    end
    counted[what] = number
  end
  return number
end

--- Move a number along with its members, for the rest of this request.
local function adjust(what, by)
  if counted[what] then
    counted[what] = counted[what] + by
  end
end

--- Enter what time will make due. Nobody looks into `due` before `clock.next_due`.
local function add_due(entry, at)
  put(keys.due, entry, at)
  if at < clock.next_due then
    clock.next_due = at
  end
end
