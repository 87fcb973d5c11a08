-- The line: who waits, who is offered a slot, and which processes are passed over. See `line.py`.
--
--   line       every seat by score
--   processes  s<process>\0<score><seat> a seat without an offer, f<process>\0<seat> one with an offer
--   heads      the first seat without an offer of each process that is not passed over, by score
--   turns      o<seat> the end of an offer, p<process> the end of a span for which it is passed over,
--              while that alone keeps its seats from being offered a slot
--
-- So the next seat is the first of `heads`, whoever is passed over, and the next turn of time the first of `turns`.

local function seat_entry(process, score, seat)
  return 's' .. process .. '\0' .. string.format('%016.0f', score) .. seat
end

local function offer_entry(process, seat)
  return 'f' .. process .. '\0' .. seat
end

--- Return a process's first seat without an offer, and its score.
local function first_seat(process)
  local found = call('ZRANGEBYLEX', processes_key, '[s' .. process .. '\0', '(s' .. process .. '\1', 'LIMIT', 0, 1)[1]
  if found then
    local digits = #process + 3
    return string.sub(found, digits + 16), tonumber(string.sub(found, digits, digits + 15))
  end
end

local function may_be_offered(known)
  return not known.silent and now >= known.passed_until
end

local function park(seat, process, score)
  local first, first_score = first_seat(process)
  call('ZADD', processes_key, 0, seat_entry(process, score, seat))
  local known = member(process)
  if may_be_offered(known) then
    -- Two strings are ordered by the server: Lua's own order depends on the locale.
    if first and (score > first_score or (score == first_score and first_seat(process) ~= seat)) then
      return
    end
    if first then
      call('ZREM', heads_key, first)
    end
    call('ZADD', heads_key, score, seat)
  elseif not first and not known.silent then
    call('ZADD', turns_key, known.passed_until, 'p' .. process)
  end
end

local function unpark(seat, process, score)
  call('ZREM', processes_key, seat_entry(process, score, seat))
  local known = member(process)
  if may_be_offered(known) then
    if call('ZREM', heads_key, seat) == 1 then
      local next_seat, next_score = first_seat(process)
      if next_seat then
        call('ZADD', heads_key, next_score, next_seat)
      end
    end
  elseif not known.silent and not first_seat(process) then
    call('ZREM', turns_key, 'p' .. process)
  end
end

--- A process is heard again, or the span for which it was passed over has ended or is lifted.
local function let_back(process, known)
  local seat, score = first_seat(process)
  if not seat then
    return
  end
  if may_be_offered(known) then
    call('ZREM', turns_key, 'p' .. process)
    call('ZADD', heads_key, score, seat)
  elseif not known.silent then
    call('ZADD', turns_key, known.passed_until, 'p' .. process)
  end
end

--- Pass a process over, until it is heard and for a span that doubles.
local function pass_over(process, known)
  local seat = first_seat(process)
  if seat then
    call('ZREM', heads_key, seat)
    call('ZREM', turns_key, 'p' .. process)
  end
  known.silent = true
  known.span = known.span > 0 and math.min(PASS_MAX_MS, 2 * known.span) or OFFER_MS
  known.passed_until = now + known.span
  known.changed = true
end

--- Return a seat's process, nil when nobody waits there.
local function process_of(seat)
  local text = read('s' .. seat)
  return text and text ~= '' and cmsgpack.unpack(text)[1] or nil
end

local function position(seat)
  return call('ZRANK', line_key, seat)
end

local function is_offered(seat)
  return call('ZSCORE', turns_key, 'o' .. seat) and true or false
end

local function enter(seat, process, lane, score)
  write('s' .. seat, cmsgpack.pack({process, lane}))
  call('ZADD', line_key, score, seat)
  adjust('waiting', 1)
  park(seat, process, score)
end

--- Give a seat up, with its offer.
local function give_up(seat)
  local process = process_of(seat)
  if call('ZREM', turns_key, 'o' .. seat) == 1 then
    call('ZREM', processes_key, offer_entry(process, seat))
    adjust('offers', -1)
  else
    unpark(seat, process, tonumber(call('ZSCORE', line_key, seat)))
  end
  call('ZREM', line_key, seat)
  adjust('waiting', -1)
  write('s' .. seat, false)
end

--- Offer a slot to the first seat of `heads`.
local function offer(seat, process, score)
  unpark(seat, process, score)
  call('ZADD', processes_key, 0, offer_entry(process, seat))
  call('ZADD', turns_key, now + OFFER_MS, 'o' .. seat)
  adjust('offers', 1)
end

--- Withdraw an offer; the seat stays where it is.
local function take_back(seat, process)
  call('ZREM', turns_key, 'o' .. seat)
  call('ZREM', processes_key, offer_entry(process, seat))
  adjust('offers', -1)
  park(seat, process, tonumber(call('ZSCORE', line_key, seat)))
end

local function withdraw_offers()
  if count_offers() > 0 then
    for _, entry in ipairs(call('ZRANGEBYLEX', processes_key, '[f', '(g')) do
      local cut = string.find(entry, '\0', 2, true)
      take_back(string.sub(entry, cut + 1), string.sub(entry, 2, cut - 1))
    end
  end
end

--- Drop every seat of a process.
local function forget_seats(process)
  local head = first_seat(process)
  if head then
    call('ZREM', heads_key, head)
    call('ZREM', turns_key, 'p' .. process)
  end
  for letter, before_seat in pairs({s = 18, f = 2}) do
    local from, to = '[' .. letter .. process .. '\0', '(' .. letter .. process .. '\1'
    local entries = call('ZRANGEBYLEX', processes_key, from, to)
    if #entries > 0 then
      call('ZREMRANGEBYLEX', processes_key, from, to)
      for _, entry in ipairs(entries) do
        local seat = string.sub(entry, #process + before_seat + 1)
        call('ZREM', line_key, seat)
        write('s' .. seat, false)
        if letter == 'f' then
          call('ZREM', turns_key, 'o' .. seat)
          adjust('offers', -1)
        end
        adjust('waiting', -1)
      end
    end
  end
end

--- Return when time alone lets the line move, or 0.
local function next_turn()
  local index = 0
  while true do
    local turn = call('ZRANGE', turns_key, index, index, 'WITHSCORES')
    if turn[1] == '' then
      return 0
    end
    local at = tonumber(turn[2])
    -- A request that was refused as foreign runs nothing that is due: spans that are over may still stand here.
    if at > now or string.sub(turn[1], 1, 1) == 'o' then
      return at
    end
    index = index + 1
  end
end
