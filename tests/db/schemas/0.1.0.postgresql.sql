-- 53f9f98e-689f-47bd-a64a-60f125817558 vIwJzh6hJn162qsraKg_0A
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.accounts (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.api_keys (
    id character varying(36) NOT NULL,
    account_id character varying(36) NOT NULL,
    sha256 character varying(64) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone
);
CREATE TABLE public.events (
    seq bigint NOT NULL,
    id character varying(36) NOT NULL,
    account_id character varying(36) NOT NULL,
    room_id character varying(36) NOT NULL,
    event_type character varying(64) NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    payload json NOT NULL
);
CREATE SEQUENCE public.events_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.events_seq_seq OWNED BY public.events.seq;
CREATE TABLE public.gateways (
    id character varying(36) NOT NULL,
    started_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL
);
CREATE TABLE public.room_participants (
    id character varying(36) NOT NULL,
    session_id character varying(36) NOT NULL,
    room_id character varying(36) NOT NULL,
    account_id character varying(36) NOT NULL,
    gateway_id character varying(36) NOT NULL,
    context text,
    joined_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    left_at timestamp with time zone,
    left_reason character varying(64)
);
CREATE TABLE public.room_sessions (
    id character varying(36) NOT NULL,
    room_id character varying(36) NOT NULL,
    account_id character varying(36) NOT NULL,
    active boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    ended_reason character varying(64),
    empty_at timestamp with time zone
);
CREATE TABLE public.rooms (
    id character varying(36) NOT NULL,
    account_id character varying(36) NOT NULL,
    unique_name character varying(255),
    max_participants integer NOT NULL,
    enable_recording boolean NOT NULL,
    webhook_event_url text,
    webhook_event_failover_url text NOT NULL,
    webhook_timeout_secs integer,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone
);
CREATE TABLE public.signing_keys (
    id character varying(36) NOT NULL,
    purpose character varying(32) NOT NULL,
    secret character varying(64) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    retired_at timestamp with time zone
);
ALTER TABLE ONLY public.events ALTER COLUMN seq SET DEFAULT nextval('public.events_seq_seq'::regclass);
INSERT INTO public.accounts VALUES ('be6b2583-70c7-44ad-ac10-ad3ebb18e874', 'default', '2026-02-02 22:25:27.521992+00');
INSERT INTO public.alembic_version VALUES ('0001');
INSERT INTO public.api_keys VALUES ('048cd50a-f8bc-440e-a2b8-9dc27c8eb55c', 'be6b2583-70c7-44ad-ac10-ad3ebb18e874', 'c466e9d9ee8a7747e7ee459ae4fb8eb83332a6e88c1e4c62fad958293dfeac2c', '2026-02-02 22:25:27.521992+00', NULL);
INSERT INTO public.events VALUES (1, 'd2b48d1d-4edf-49b4-85a4-b646457e0fb3', 'be6b2583-70c7-44ad-ac10-ad3ebb18e874', '53f9f98e-689f-47bd-a64a-60f125817558', 'video.room.session.started', '2026-02-02 22:25:27.521992+00', '{"session_id": "ff8f5637-dd2c-4ba7-86d5-0a770b697df5", "room_id": "53f9f98e-689f-47bd-a64a-60f125817558"}');
INSERT INTO public.events VALUES (2, '225a9044-07b4-44b8-9631-0e533d4ef451', 'be6b2583-70c7-44ad-ac10-ad3ebb18e874', '53f9f98e-689f-47bd-a64a-60f125817558', 'video.room.participant.joined', '2026-02-02 22:25:27.521992+00', '{"session_id": "ff8f5637-dd2c-4ba7-86d5-0a770b697df5", "room_id": "53f9f98e-689f-47bd-a64a-60f125817558", "participant_id": "4bb34e27-0eba-4671-8904-f4fc8c31e0bd", "context": "{\"username\": \"Anna\"}"}');
INSERT INTO public.events VALUES (3, '20065989-a54f-4c91-aeb5-bd1389698fc3', 'be6b2583-70c7-44ad-ac10-ad3ebb18e874', '1615d4ce-0797-4c6d-8739-b70d44b48f69', 'video.room.session.started', '2026-02-02 22:25:27.521992+00', '{"session_id": "19623eb3-f91c-4d83-8041-70183e8db338", "room_id": "1615d4ce-0797-4c6d-8739-b70d44b48f69"}');
INSERT INTO public.events VALUES (4, '44d6daf4-940f-4a35-b6b4-3160811131ae', 'be6b2583-70c7-44ad-ac10-ad3ebb18e874', '1615d4ce-0797-4c6d-8739-b70d44b48f69', 'video.room.participant.joined', '2026-02-02 22:25:27.521992+00', '{"session_id": "19623eb3-f91c-4d83-8041-70183e8db338", "room_id": "1615d4ce-0797-4c6d-8739-b70d44b48f69", "participant_id": "bfd89bd5-5395-44c8-9a12-bd2efb530127", "context": null}');
INSERT INTO public.events VALUES (5, 'fa15cfe9-e235-41ce-a050-f2f691680e2b', 'be6b2583-70c7-44ad-ac10-ad3ebb18e874', '1615d4ce-0797-4c6d-8739-b70d44b48f69', 'video.room.participant.joined', '2026-02-02 22:25:27.521992+00', '{"session_id": "19623eb3-f91c-4d83-8041-70183e8db338", "room_id": "1615d4ce-0797-4c6d-8739-b70d44b48f69", "participant_id": "f2a47bf1-c06c-46bc-b639-628d8173a870", "context": null}');
INSERT INTO public.gateways VALUES ('61c4be21-c961-4658-92bb-03578cfb365a', '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00');
INSERT INTO public.gateways VALUES ('fb235538-9ae9-4434-82d4-843e62d994f8', '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00');
INSERT INTO public.gateways VALUES ('182c1dc2-4611-4117-bbc4-b64f6f44b84c', '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00');
INSERT INTO public.room_participants VALUES ('4bb34e27-0eba-4671-8904-f4fc8c31e0bd', 'ff8f5637-dd2c-4ba7-86d5-0a770b697df5', '53f9f98e-689f-47bd-a64a-60f125817558', 'be6b2583-70c7-44ad-ac10-ad3ebb18e874', '61c4be21-c961-4658-92bb-03578cfb365a', '{"username": "Anna"}', '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', NULL, NULL);
INSERT INTO public.room_participants VALUES ('bfd89bd5-5395-44c8-9a12-bd2efb530127', '19623eb3-f91c-4d83-8041-70183e8db338', '1615d4ce-0797-4c6d-8739-b70d44b48f69', 'be6b2583-70c7-44ad-ac10-ad3ebb18e874', 'fb235538-9ae9-4434-82d4-843e62d994f8', NULL, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', NULL, NULL);
INSERT INTO public.room_participants VALUES ('f2a47bf1-c06c-46bc-b639-628d8173a870', '19623eb3-f91c-4d83-8041-70183e8db338', '1615d4ce-0797-4c6d-8739-b70d44b48f69', 'be6b2583-70c7-44ad-ac10-ad3ebb18e874', '182c1dc2-4611-4117-bbc4-b64f6f44b84c', NULL, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', NULL, NULL);
INSERT INTO public.room_sessions VALUES ('ff8f5637-dd2c-4ba7-86d5-0a770b697df5', '53f9f98e-689f-47bd-a64a-60f125817558', 'be6b2583-70c7-44ad-ac10-ad3ebb18e874', true, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', NULL, NULL, NULL);
INSERT INTO public.room_sessions VALUES ('19623eb3-f91c-4d83-8041-70183e8db338', '1615d4ce-0797-4c6d-8739-b70d44b48f69', 'be6b2583-70c7-44ad-ac10-ad3ebb18e874', true, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', NULL, NULL, NULL);
INSERT INTO public.rooms VALUES ('53f9f98e-689f-47bd-a64a-60f125817558', 'be6b2583-70c7-44ad-ac10-ad3ebb18e874', 'stand-up', 7, false, NULL, '', NULL, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', NULL);
INSERT INTO public.rooms VALUES ('1615d4ce-0797-4c6d-8739-b70d44b48f69', 'be6b2583-70c7-44ad-ac10-ad3ebb18e874', NULL, 10, false, 'http://127.0.0.1:1/hook', '', NULL, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', NULL);
INSERT INTO public.signing_keys VALUES ('526cf6fe-f20a-46a8-b356-ccd7e4e67482', 'token', '/El5EsIxzd9lSG90WTjNe64ZFi6mV5fLL2QAluK12ms=', '2026-02-02 22:25:27.521992+00', NULL);
INSERT INTO public.signing_keys VALUES ('8ef19d1d-4f3c-4490-a4be-6eb33c91bdbe', 'invite', 'LZ96wCZYicNoDzFR1jw4sXF2QWjXbI6Hcv8jn8O8UjE=', '2026-02-02 22:25:27.521992+00', NULL);
SELECT pg_catalog.setval('public.events_seq_seq', 5, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT pk_accounts PRIMARY KEY (id);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT pk_api_keys PRIMARY KEY (id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT pk_events PRIMARY KEY (seq);
ALTER TABLE ONLY public.gateways
    ADD CONSTRAINT pk_gateways PRIMARY KEY (id);
ALTER TABLE ONLY public.room_participants
    ADD CONSTRAINT pk_room_participants PRIMARY KEY (id);
ALTER TABLE ONLY public.room_sessions
    ADD CONSTRAINT pk_room_sessions PRIMARY KEY (id);
ALTER TABLE ONLY public.rooms
    ADD CONSTRAINT pk_rooms PRIMARY KEY (id);
ALTER TABLE ONLY public.signing_keys
    ADD CONSTRAINT pk_signing_keys PRIMARY KEY (id);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT uq_accounts_name UNIQUE (name);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT uq_api_keys_sha256 UNIQUE (sha256);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT uq_events_id UNIQUE (id);
CREATE INDEX ix_events_account_id_seq ON public.events USING btree (account_id, seq);
CREATE INDEX ix_events_room_id_seq ON public.events USING btree (room_id, seq);
CREATE INDEX ix_room_participants_account_id_joined_at ON public.room_participants USING btree (account_id, joined_at, id);
CREATE INDEX ix_room_participants_present ON public.room_participants USING btree (gateway_id) WHERE (left_at IS NULL);
CREATE INDEX ix_room_participants_session_id_joined_at ON public.room_participants USING btree (session_id, joined_at, id);
CREATE INDEX ix_room_sessions_account_id_created_at ON public.room_sessions USING btree (account_id, created_at, id);
CREATE INDEX ix_room_sessions_room_id_created_at ON public.room_sessions USING btree (room_id, created_at, id);
CREATE INDEX ix_rooms_account_id_created_at ON public.rooms USING btree (account_id, created_at, id);
CREATE UNIQUE INDEX uq_room_sessions_active ON public.room_sessions USING btree (room_id) WHERE active;
CREATE UNIQUE INDEX uq_rooms_account_id_unique_name ON public.rooms USING btree (account_id, unique_name) WHERE (deleted_at IS NULL);
CREATE UNIQUE INDEX uq_signing_keys_current ON public.signing_keys USING btree (purpose) WHERE (retired_at IS NULL);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT fk_api_keys_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT fk_events_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT fk_events_room_id FOREIGN KEY (room_id) REFERENCES public.rooms(id);
ALTER TABLE ONLY public.room_participants
    ADD CONSTRAINT fk_room_participants_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.room_participants
    ADD CONSTRAINT fk_room_participants_room_id FOREIGN KEY (room_id) REFERENCES public.rooms(id);
ALTER TABLE ONLY public.room_participants
    ADD CONSTRAINT fk_room_participants_session_id FOREIGN KEY (session_id) REFERENCES public.room_sessions(id);
ALTER TABLE ONLY public.room_sessions
    ADD CONSTRAINT fk_room_sessions_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.room_sessions
    ADD CONSTRAINT fk_room_sessions_room_id FOREIGN KEY (room_id) REFERENCES public.rooms(id);
ALTER TABLE ONLY public.rooms
    ADD CONSTRAINT fk_rooms_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
