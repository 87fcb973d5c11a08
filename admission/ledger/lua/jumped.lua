-- jumped: the server's clock ran ahead of a process's own: begin a new epoch.
--
-- returns     code
-- writes      forgets all bookings and seats
-- atomicity   the reply is foreign, as every later one of the old epoch

--@inline epoch

code = FOREIGN
