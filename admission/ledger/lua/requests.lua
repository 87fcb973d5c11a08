-- requests: run what one process says, in order, each as `<verb>.lua` tells. A verb takes its arguments from `first` to
-- `last` and leaves its `code`, or a `tail` that begins with it.
--
-- KEYS[1]     account        hash: what the account has one of, and a record for each name in the book
-- KEYS[2]     pending        zset: reservations by settle time
-- KEYS[3]     due            zset: what time makes due, by that time
-- KEYS[4]     processes      zset: by name each process, its reservations and its seats
-- KEYS[5]     line           zset: by lane the seats, in order
-- KEYS[6]     lanes          zset: by lane who may be offered a slot next, the offers, and the reservations
-- KEYS[7]     turns          zset: open offers, and passed-over processes, by their end
-- ARGV[1]     run_id         text, the server's, or empty
-- ARGV[2]     process        text
-- ARGV[3]     epoch          number
-- ARGV[4]     policy         text, see PolicyWire
-- ARGV[5]     learnt         number of the last hand-over that reached the process; -1: its waiters are only offered slots
-- ARGV[6]     wanted         number of the records that follow
-- ARGV[7...]  records        the names of records that will be needed, so that they come in one round
-- ARGV[...]   requests       for each its verb, the number of its arguments, and these
-- returns     now_ms epoch since_ms waiting due_at_ms next_at_ms granted answer...
--             or two numbers, OTHER_FORMAT and the format, when another version keeps the book: then nothing was run
-- writes      the process as heard, and what time has made due; the one TTL of all keys (twice max_call_duration, at
--             least 1 h) is renewed when a quarter has gone; none while paused
-- atomicity   all requests see one moment, and none of anybody else comes between them; what is offered is told once

local keys = KEYS
local run_id, process, epoch, policy, learnt, wanted = unpack(ARGV, 1, 6)
epoch, learnt, wanted = tonumber(epoch), tonumber(learnt), tonumber(wanted)
local requests_from = 7 + wanted

--@include records
--@include lanes
--@include room
--@include line
--@include reservation
--@include keep
--@include drop
--@include end_call

--@inline open
if epoch == state.epoch then
--@inline hear
--@inline due
  if number_of('waiting') > 0 then
    -- Counted before anything moves, these need not be sent what has moved.
    number_of('pending')
    number_of('held')
    the_line().lapse()
  end
end

local answers = {}
local at = requests_from
while at <= #ARGV do
  local verb, first, last = ARGV[at], at + 2, at + 1 + ARGV[at + 1]
  local code, tail = FOREIGN, nil
  if epoch == state.epoch then
--@verbs
    if number_of('waiting') > 0 then
      the_line().serve()
    end
  end
  answers[#answers + 1] = tail or code
  at = last + 1
end

--@inline close
