-- The beginning of a run: read the account, and begin a new epoch where data was lost. A book that another version of
-- admission keeps in another format is not touched.

local there = redis.call('EXISTS', unpack(keys))
local found = redis.call(
  'HMGET', keys.account, 'format', 'clock', 'state', 'lanes', 'p' .. process, unpack(ARGV, 7, requests_from - 1)
)
if found[1] and tonumber(found[1]) ~= BOOK_FORMAT then
  return {OTHER_FORMAT, tonumber(found[1]) or 0}
end
texts.lanes, texts['p' .. process] = found[4], found[5]
for index = 1, wanted do
  texts[ARGV[6 + index]] = found[5 + index]
end

--@inline clock

-- Ledger time never goes backwards: when the server's clock does, the offset takes up the step.
clock = found[2] and UNPACK_CLOCK(found[2]) or NEW_CLOCK
now = math.max(clock.last, server_now_ms + clock.offset)
clock.last, clock.offset = now, now - server_now_ms
state = found[3] and UNPACK_STATE(found[3]) or NEW_STATE
if not found[2] then
  clock.heard = now
end

if there < #keys or not found[1] or (run_id ~= state.run_id and run_id ~= '' and state.run_id ~= '') then
--@inline epoch
end
if run_id ~= state.run_id and run_id ~= '' then
  state.run_id, state_changed = run_id, true
end
