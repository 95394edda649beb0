-- needs: nothing beyond CONNECT
-- Lifts the time limits that the server, the database or the role sets, before anything is read. Only
-- where they have ended a first attempt: the session's own values hide where the others come from.
SET statement_timeout = 0;
SET transaction_timeout = 0; --@ >=17
SET idle_session_timeout = 0; --@ >=14
SET idle_in_transaction_session_timeout = 0
