-- 945c1ed6-1c2e-4b6b-ba5d-e80263bbd92c jID6SU6dpY1Uhs3ayQ5MZg
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
    revoked_at timestamp with time zone,
    name character varying(255),
    scopes json,
    from_setting boolean DEFAULT false NOT NULL,
    last_used_at timestamp with time zone,
    expires_at timestamp with time zone
);
CREATE TABLE public.audit_events (
    id character varying(36) NOT NULL,
    account_id character varying(36),
    key_id character varying(36),
    operation character varying(64) NOT NULL,
    object_id character varying(255),
    request_id character varying(128),
    detail text,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.clock (
    id integer NOT NULL,
    stepped_ms bigint NOT NULL,
    trusted_at timestamp with time zone,
    held_until timestamp with time zone
);
CREATE SEQUENCE public.clock_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.clock_id_seq OWNED BY public.clock.id;
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
    seen_at timestamp with time zone NOT NULL,
    dead boolean DEFAULT false NOT NULL,
    node_id character varying(64)
);
CREATE TABLE public.job_lanes (
    lane character varying(36) NOT NULL,
    turn bigint NOT NULL
);
CREATE TABLE public.jobs (
    id character varying(36) NOT NULL,
    kind character varying(32) NOT NULL,
    subject text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    leased_until timestamp with time zone,
    attempts integer NOT NULL,
    last_error text,
    created_at timestamp with time zone NOT NULL,
    lane character varying(36),
    waits_for character varying(36),
    woken boolean DEFAULT false NOT NULL
);
CREATE TABLE public.participant_tokens (
    participant_id character varying(36) NOT NULL,
    family character varying(18) NOT NULL
);
CREATE TABLE public.revoked_tokens (
    family character varying(18) NOT NULL,
    room_id character varying(36) NOT NULL,
    forget_at timestamp with time zone NOT NULL
);
CREATE TABLE public.room_compositions (
    id character varying(36) NOT NULL,
    account_id character varying(36) NOT NULL,
    room_id character varying(36) NOT NULL,
    session_id character varying(36) NOT NULL,
    status character varying(16) NOT NULL,
    format character varying(8) NOT NULL,
    resolution character varying(16) NOT NULL,
    video_layout json NOT NULL,
    audio_sources json,
    show_placeholders boolean NOT NULL,
    webhook_event_url text,
    webhook_event_failover_url text NOT NULL,
    webhook_timeout_secs integer,
    progress double precision NOT NULL,
    size_bytes bigint,
    sha256 character varying(64),
    object_key text,
    duration_secs integer,
    failure text,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    completed_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    digest character varying(64)
);
CREATE TABLE public.room_counts (
    account_id character varying(36) NOT NULL,
    bucket integer NOT NULL,
    rooms bigint NOT NULL
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
    left_reason character varying(64),
    audio_muted boolean DEFAULT false NOT NULL,
    label character varying(255)
);
CREATE TABLE public.room_recordings (
    id character varying(36) NOT NULL,
    account_id character varying(36) NOT NULL,
    room_id character varying(36) NOT NULL,
    session_id character varying(36) NOT NULL,
    participant_id character varying(36) NOT NULL,
    type character varying(8) NOT NULL,
    stream_key text NOT NULL,
    mjr_name character varying(64) NOT NULL,
    status character varying(16) NOT NULL,
    codec character varying(16),
    shown json NOT NULL,
    size_bytes bigint,
    sha256 character varying(64),
    object_key text,
    duration_secs integer,
    failure text,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    completed_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL
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
    empty_at timestamp with time zone,
    recording boolean DEFAULT false NOT NULL
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
    deleted_at timestamp with time zone,
    link_generation integer DEFAULT 0 NOT NULL
);
CREATE TABLE public.signing_keys (
    id character varying(36) NOT NULL,
    purpose character varying(32) NOT NULL,
    secret character varying(64) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    retired_at timestamp with time zone
);
CREATE TABLE public.webhook_attempts (
    delivery_id character varying(36) NOT NULL,
    number integer NOT NULL,
    url text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    delivered boolean NOT NULL,
    status_code integer,
    error text,
    request_headers json NOT NULL,
    response_headers json NOT NULL,
    response_body text NOT NULL
);
CREATE TABLE public.webhook_deliveries (
    seq bigint NOT NULL,
    id character varying(36) NOT NULL,
    account_id character varying(36) NOT NULL,
    room_id character varying(36) NOT NULL,
    event_type character varying(64) NOT NULL,
    data text NOT NULL,
    url text NOT NULL,
    failover_url text NOT NULL,
    timeout_secs integer,
    origin text NOT NULL,
    status character varying(16) NOT NULL,
    rounds integer NOT NULL,
    attempts integer NOT NULL,
    due_at timestamp with time zone,
    leased_until timestamp with time zone,
    first_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    stage character varying(8),
    url_head text DEFAULT ''::text NOT NULL
);
CREATE SEQUENCE public.webhook_deliveries_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.webhook_deliveries_seq_seq OWNED BY public.webhook_deliveries.seq;
ALTER TABLE ONLY public.clock ALTER COLUMN id SET DEFAULT nextval('public.clock_id_seq'::regclass);
ALTER TABLE ONLY public.events ALTER COLUMN seq SET DEFAULT nextval('public.events_seq_seq'::regclass);
ALTER TABLE ONLY public.webhook_deliveries ALTER COLUMN seq SET DEFAULT nextval('public.webhook_deliveries_seq_seq'::regclass);
INSERT INTO public.accounts VALUES ('35ac45b2-8e5b-4b6b-beea-db00e1012d04', 'default', '2026-02-02 22:25:27.521992+00');
INSERT INTO public.alembic_version VALUES ('0015');
INSERT INTO public.api_keys VALUES ('bdbac7eb-18a0-493b-8b5e-ce8a5a659cba', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', 'c466e9d9ee8a7747e7ee459ae4fb8eb83332a6e88c1e4c62fad958293dfeac2c', '2026-02-02 22:25:27.521992+00', NULL, NULL, NULL, false, NULL, NULL);
INSERT INTO public.audit_events VALUES ('fefb9686-126a-4809-aa5f-2328831eaab4', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', NULL, 'create_room', '945c1ed6-1c2e-4b6b-ba5d-e80263bbd92c', NULL, NULL, '2026-02-02 22:25:27.521992+00');
INSERT INTO public.clock VALUES (1, 250, NULL, NULL);
INSERT INTO public.events VALUES (1, '09d79289-b70b-4383-be8c-5263f4ce871a', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '945c1ed6-1c2e-4b6b-ba5d-e80263bbd92c', 'video.room.session.started', '2026-02-02 22:25:27.521992+00', '{"session_id": "88013397-f934-4279-959c-2ee0f3965531", "room_id": "945c1ed6-1c2e-4b6b-ba5d-e80263bbd92c"}');
INSERT INTO public.events VALUES (2, '4cd6f976-57c7-4bdd-ac38-f5e81bae6184', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '945c1ed6-1c2e-4b6b-ba5d-e80263bbd92c', 'video.room.participant.joined', '2026-02-02 22:25:27.521992+00', '{"session_id": "88013397-f934-4279-959c-2ee0f3965531", "room_id": "945c1ed6-1c2e-4b6b-ba5d-e80263bbd92c", "participant_id": "2ccd6e40-27e3-43b3-9b1d-5b29d9a36431", "context": "{\"username\": \"Anna\"}"}');
INSERT INTO public.events VALUES (3, '6ed4a8ec-9a83-4138-b6ff-e0714860e95b', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'video.room.session.started', '2026-02-02 22:25:27.521992+00', '{"session_id": "df28a92f-8ef2-415e-8aad-04a2df47ff72", "room_id": "071f14cc-e9a9-4389-b6f4-a3db3e0322a5"}');
INSERT INTO public.events VALUES (4, 'ce516e13-1915-4ee7-a6fb-13b27881e5b8', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'video.room.participant.joined', '2026-02-02 22:25:27.521992+00', '{"session_id": "df28a92f-8ef2-415e-8aad-04a2df47ff72", "room_id": "071f14cc-e9a9-4389-b6f4-a3db3e0322a5", "participant_id": "6c15573d-1491-49e8-be51-ee2077918976", "context": null}');
INSERT INTO public.events VALUES (5, '838d76f4-2538-4dad-89df-8e3f328eab72', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'video.room.recording.started', '2026-02-02 22:25:27.521992+00', '{"session_id": "df28a92f-8ef2-415e-8aad-04a2df47ff72", "room_id": "071f14cc-e9a9-4389-b6f4-a3db3e0322a5", "participant_id": "6c15573d-1491-49e8-be51-ee2077918976", "recording_id": "0bc9446d-82d3-4aed-91f6-8a1d8e0c0ca1", "type": "video"}');
INSERT INTO public.events VALUES (6, '0e9fc3a9-a8e8-406d-a6fb-a02ed1370f28', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'video.room.recording.completed', '2026-02-02 22:26:27.521992+00', '{"session_id": "df28a92f-8ef2-415e-8aad-04a2df47ff72", "room_id": "071f14cc-e9a9-4389-b6f4-a3db3e0322a5", "participant_id": "6c15573d-1491-49e8-be51-ee2077918976", "recording_id": "0bc9446d-82d3-4aed-91f6-8a1d8e0c0ca1", "type": "video", "size_mb": 5.6, "download_url": "https://files.example.com/recordings/df28a92f-8ef2-415e-8aad-04a2df47ff72/0bc9446d-82d3-4aed-91f6-8a1d8e0c0ca1.webm?filename=recording-20260202T222527Z-video-0bc9446d.webm", "codec": "vp8", "duration_secs": 60}');
INSERT INTO public.events VALUES (7, '3aa89359-51cd-4724-a0de-23f359f8b29c', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'video.room.participant.left', '2026-02-02 22:27:27.521992+00', '{"session_id": "df28a92f-8ef2-415e-8aad-04a2df47ff72", "room_id": "071f14cc-e9a9-4389-b6f4-a3db3e0322a5", "participant_id": "6c15573d-1491-49e8-be51-ee2077918976", "context": null, "duration_secs": 120, "left_reason": "session_ended"}');
INSERT INTO public.events VALUES (8, '8bbb9290-b40a-4856-ac6c-06d984c25436', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'video.room.session.ended', '2026-02-02 22:27:27.521992+00', '{"session_id": "df28a92f-8ef2-415e-8aad-04a2df47ff72", "room_id": "071f14cc-e9a9-4389-b6f4-a3db3e0322a5", "duration_secs": 120, "ended_reason": "Ended from API"}');
INSERT INTO public.gateways VALUES ('cb24d878-a535-4d4a-936e-8bcaba86bf77', '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', false, NULL);
INSERT INTO public.gateways VALUES ('f9f529a9-ab82-4cc8-8820-5f97aaf84972', '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', false, NULL);
INSERT INTO public.job_lanes VALUES ('a lane', 3);
INSERT INTO public.jobs VALUES ('7889a616-d750-4585-bd19-04cecb5af896', 'convert_recording', '0bc9446d-82d3-4aed-91f6-8a1d8e0c0ca1', '2026-02-02 22:26:27.521992+00', NULL, 0, NULL, '2026-02-02 22:26:27.521992+00', NULL, NULL, false);
INSERT INTO public.jobs VALUES ('5106cc4f-a74f-4d4d-bc32-7fc8135891ef', 'convert_recording', '249426f7-1406-4a2c-bcbc-dd6851dbb8f0', '2026-02-02 22:26:27.521992+00', NULL, 0, NULL, '2026-02-02 22:26:27.521992+00', NULL, NULL, false);
INSERT INTO public.jobs VALUES ('c1e73862-0e38-4823-8ff4-96807546a41d', 'convert_recording', '454cffe9-3f52-46dc-a5c7-c1a159ed1cb6', '2026-02-02 22:27:27.521992+00', NULL, 0, NULL, '2026-02-02 22:27:27.521992+00', NULL, NULL, false);
INSERT INTO public.jobs VALUES ('17c20109-d211-417c-8fdc-e6f3bf76cb40', 'convert_recording', 'dbd68f00-7255-4278-bf17-e77a3344cee6', '2026-02-02 22:27:27.521992+00', NULL, 0, NULL, '2026-02-02 22:27:27.521992+00', NULL, NULL, false);
INSERT INTO public.jobs VALUES ('5965f1ac-d393-43ea-aa1e-d7495105020a', 'compose', '6b6c9b69-0a9c-482d-afed-9ad3836c5d53', '2026-02-02 22:28:27.521992+00', NULL, 0, NULL, '2026-02-02 22:28:27.521992+00', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', 'df28a92f-8ef2-415e-8aad-04a2df47ff72', false);
INSERT INTO public.participant_tokens VALUES ('6c15573d-1491-49e8-be51-ee2077918976', 'ffffffffffffffffff');
INSERT INTO public.revoked_tokens VALUES ('rrrrrrrrrrrrrrrrrr', '945c1ed6-1c2e-4b6b-ba5d-e80263bbd92c', '2026-02-03 22:25:27.521992+00');
INSERT INTO public.room_compositions VALUES ('6b6c9b69-0a9c-482d-afed-9ad3836c5d53', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'df28a92f-8ef2-415e-8aad-04a2df47ff72', 'enqueued', 'mp4', '1280x720', '{"main": {"x_pos": 0, "y_pos": 0, "z_pos": 0, "width": 1280, "height": 720, "max_columns": null, "max_rows": null, "video_sources": ["*"]}}', '["*"]', false, NULL, '', NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-02-02 22:28:27.521992+00', '2026-02-02 22:28:27.521992+00', NULL);
INSERT INTO public.room_counts VALUES ('35ac45b2-8e5b-4b6b-beea-db00e1012d04', 4, 1);
INSERT INTO public.room_counts VALUES ('35ac45b2-8e5b-4b6b-beea-db00e1012d04', 7, 1);
INSERT INTO public.room_participants VALUES ('2ccd6e40-27e3-43b3-9b1d-5b29d9a36431', '88013397-f934-4279-959c-2ee0f3965531', '945c1ed6-1c2e-4b6b-ba5d-e80263bbd92c', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', 'cb24d878-a535-4d4a-936e-8bcaba86bf77', '{"username": "Anna"}', '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', NULL, NULL, false, NULL);
INSERT INTO public.room_participants VALUES ('6c15573d-1491-49e8-be51-ee2077918976', 'df28a92f-8ef2-415e-8aad-04a2df47ff72', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', 'f9f529a9-ab82-4cc8-8820-5f97aaf84972', NULL, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:27:27.521992+00', '2026-02-02 22:27:27.521992+00', 'session_ended', false, NULL);
INSERT INTO public.room_recordings VALUES ('0bc9446d-82d3-4aed-91f6-8a1d8e0c0ca1', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'df28a92f-8ef2-415e-8aad-04a2df47ff72', '6c15573d-1491-49e8-be51-ee2077918976', 'video', 'self', 'mjr-16cb43a601834428a0d6310e316d453e', 'completed', 'vp8', '[[1770071127521, 1770071187521]]', 5600000, '0000000000000000000000000000000000000000000000000000000000000000', 'recordings/df28a92f-8ef2-415e-8aad-04a2df47ff72/0bc9446d-82d3-4aed-91f6-8a1d8e0c0ca1.webm', 60, NULL, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:26:27.521992+00', '2026-02-02 22:26:27.521992+00', '2026-02-02 22:25:27.521992+00', '2026-02-02 22:26:27.521992+00');
INSERT INTO public.room_recordings VALUES ('454cffe9-3f52-46dc-a5c7-c1a159ed1cb6', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'df28a92f-8ef2-415e-8aad-04a2df47ff72', '6c15573d-1491-49e8-be51-ee2077918976', 'audio', 'presentation', 'mjr-27d23f7dd92b40ffb7f1261c559060c4', 'processing', NULL, '[]', NULL, NULL, NULL, NULL, NULL, NULL, '2026-02-02 22:27:27.521992+00', NULL, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:27:27.521992+00');
INSERT INTO public.room_recordings VALUES ('dbd68f00-7255-4278-bf17-e77a3344cee6', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'df28a92f-8ef2-415e-8aad-04a2df47ff72', '6c15573d-1491-49e8-be51-ee2077918976', 'video', 'presentation', 'mjr-27d23f7dd92b40ffb7f1261c559060c4', 'processing', NULL, '[]', NULL, NULL, NULL, NULL, NULL, NULL, '2026-02-02 22:27:27.521992+00', NULL, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:27:27.521992+00');
INSERT INTO public.room_sessions VALUES ('88013397-f934-4279-959c-2ee0f3965531', '945c1ed6-1c2e-4b6b-ba5d-e80263bbd92c', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', true, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', NULL, NULL, NULL, false);
INSERT INTO public.room_sessions VALUES ('df28a92f-8ef2-415e-8aad-04a2df47ff72', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', false, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:27:27.521992+00', '2026-02-02 22:27:27.521992+00', 'Ended from API', NULL, false);
INSERT INTO public.rooms VALUES ('945c1ed6-1c2e-4b6b-ba5d-e80263bbd92c', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', 'stand-up', 7, false, NULL, '', NULL, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', NULL, 0);
INSERT INTO public.rooms VALUES ('071f14cc-e9a9-4389-b6f4-a3db3e0322a5', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', NULL, 10, false, 'http://127.0.0.1:1/hook', '', NULL, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', NULL, 0);
INSERT INTO public.signing_keys VALUES ('98f9275a-2152-416d-9613-a496fb44525b', 'token', 'CPS1eipr5j44lRgFTxXwpQ0AdrG2gqGD/B2+tYF7mRM=', '2026-02-02 22:25:27.521992+00', NULL);
INSERT INTO public.signing_keys VALUES ('3b2a2a43-52bb-4345-8615-f8f3d118967b', 'invite', '5WpY35mgtfQvA/d/iZVD+00KYlDPum70W9jEmxKl9us=', '2026-02-02 22:25:27.521992+00', NULL);
INSERT INTO public.signing_keys VALUES ('e32a330c-4f61-4fbf-a3d1-85b04e28a594', 'file', 'z+b8p6tve3MHvZr4wa327ZpdCuPI3rPIhlrXdo2PAqk=', '2026-02-02 22:25:27.521992+00', NULL);
INSERT INTO public.webhook_attempts VALUES ('e7b64d63-72e9-4f74-91b6-d52edb29ffec', 1, 'http://127.0.0.1:1/hook', '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', false, 503, NULL, '{}', '{"retry-after": "9"}', 'x');
INSERT INTO public.webhook_deliveries VALUES (1, 'e7b64d63-72e9-4f74-91b6-d52edb29ffec', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'video.room.session.started', '{"record_type":"event","event_type":"video.room.session.started","id":"6ed4a8ec-9a83-4138-b6ff-e0714860e95b","occurred_at":"2026-02-02T22:25:27.521992Z","payload":{"session_id":"df28a92f-8ef2-415e-8aad-04a2df47ff72","room_id":"071f14cc-e9a9-4389-b6f4-a3db3e0322a5"}}', 'http://127.0.0.1:1/hook', '', NULL, 'http://127.0.0.1:1', 'pending', 0, 0, '2026-02-02 22:25:27.521992+00', NULL, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', NULL, NULL, 'ready', 'http://127.0.0.1:1/hook');
INSERT INTO public.webhook_deliveries VALUES (2, 'ed08a37b-950b-4ed8-ace1-db4bbaea596f', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'video.room.participant.joined', '{"record_type":"event","event_type":"video.room.participant.joined","id":"ce516e13-1915-4ee7-a6fb-13b27881e5b8","occurred_at":"2026-02-02T22:25:27.521992Z","payload":{"session_id":"df28a92f-8ef2-415e-8aad-04a2df47ff72","room_id":"071f14cc-e9a9-4389-b6f4-a3db3e0322a5","participant_id":"6c15573d-1491-49e8-be51-ee2077918976","context":null}}', 'http://127.0.0.1:1/hook', '', NULL, 'http://127.0.0.1:1', 'pending', 0, 0, '2026-02-02 22:25:27.521992+00', NULL, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', NULL, NULL, 'held', 'http://127.0.0.1:1/hook');
INSERT INTO public.webhook_deliveries VALUES (3, 'd5944148-75e3-4927-803e-a31f17a8a62c', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'video.room.recording.started', '{"record_type":"event","event_type":"video.room.recording.started","id":"838d76f4-2538-4dad-89df-8e3f328eab72","occurred_at":"2026-02-02T22:25:27.521992Z","payload":{"session_id":"df28a92f-8ef2-415e-8aad-04a2df47ff72","room_id":"071f14cc-e9a9-4389-b6f4-a3db3e0322a5","participant_id":"6c15573d-1491-49e8-be51-ee2077918976","recording_id":"0bc9446d-82d3-4aed-91f6-8a1d8e0c0ca1","type":"video"}}', 'http://127.0.0.1:1/hook', '', NULL, 'http://127.0.0.1:1', 'pending', 0, 0, '2026-02-02 22:25:27.521992+00', NULL, '2026-02-02 22:25:27.521992+00', '2026-02-02 22:25:27.521992+00', NULL, NULL, 'held', 'http://127.0.0.1:1/hook');
INSERT INTO public.webhook_deliveries VALUES (4, 'cc46dbd7-da0b-4956-b6b4-3f1b1205156b', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'video.room.recording.completed', '{"record_type":"event","event_type":"video.room.recording.completed","id":"0e9fc3a9-a8e8-406d-a6fb-a02ed1370f28","occurred_at":"2026-02-02T22:26:27.521992Z","payload":{"session_id":"df28a92f-8ef2-415e-8aad-04a2df47ff72","room_id":"071f14cc-e9a9-4389-b6f4-a3db3e0322a5","participant_id":"6c15573d-1491-49e8-be51-ee2077918976","recording_id":"0bc9446d-82d3-4aed-91f6-8a1d8e0c0ca1","type":"video","size_mb":5.6,"download_url":"https://files.example.com/recordings/df28a92f-8ef2-415e-8aad-04a2df47ff72/0bc9446d-82d3-4aed-91f6-8a1d8e0c0ca1.webm?filename=recording-20260202T222527Z-video-0bc9446d.webm","codec":"vp8","duration_secs":60}}', 'http://127.0.0.1:1/hook', '', NULL, 'http://127.0.0.1:1', 'pending', 0, 0, '2026-02-02 22:26:27.521992+00', NULL, '2026-02-02 22:26:27.521992+00', '2026-02-02 22:26:27.521992+00', NULL, NULL, 'held', 'http://127.0.0.1:1/hook');
INSERT INTO public.webhook_deliveries VALUES (5, 'cb3477ea-8930-4cdc-9f1e-2edb12a6d483', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'video.room.participant.left', '{"record_type":"event","event_type":"video.room.participant.left","id":"3aa89359-51cd-4724-a0de-23f359f8b29c","occurred_at":"2026-02-02T22:27:27.521992Z","payload":{"session_id":"df28a92f-8ef2-415e-8aad-04a2df47ff72","room_id":"071f14cc-e9a9-4389-b6f4-a3db3e0322a5","participant_id":"6c15573d-1491-49e8-be51-ee2077918976","context":null,"duration_secs":120,"left_reason":"session_ended"}}', 'http://127.0.0.1:1/hook', '', NULL, 'http://127.0.0.1:1', 'pending', 0, 0, '2026-02-02 22:27:27.521992+00', NULL, '2026-02-02 22:27:27.521992+00', '2026-02-02 22:27:27.521992+00', NULL, NULL, 'held', 'http://127.0.0.1:1/hook');
INSERT INTO public.webhook_deliveries VALUES (6, 'e12b168f-566c-4881-8370-c6dffd57c3ff', '35ac45b2-8e5b-4b6b-beea-db00e1012d04', '071f14cc-e9a9-4389-b6f4-a3db3e0322a5', 'video.room.session.ended', '{"record_type":"event","event_type":"video.room.session.ended","id":"8bbb9290-b40a-4856-ac6c-06d984c25436","occurred_at":"2026-02-02T22:27:27.521992Z","payload":{"session_id":"df28a92f-8ef2-415e-8aad-04a2df47ff72","room_id":"071f14cc-e9a9-4389-b6f4-a3db3e0322a5","duration_secs":120,"ended_reason":"Ended from API"}}', 'http://127.0.0.1:1/hook', '', NULL, 'http://127.0.0.1:1', 'pending', 0, 0, '2026-02-02 22:27:27.521992+00', NULL, '2026-02-02 22:27:27.521992+00', '2026-02-02 22:27:27.521992+00', NULL, NULL, 'held', 'http://127.0.0.1:1/hook');
SELECT pg_catalog.setval('public.clock_id_seq', 1, false);
SELECT pg_catalog.setval('public.events_seq_seq', 8, true);
SELECT pg_catalog.setval('public.webhook_deliveries_seq_seq', 6, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT pk_accounts PRIMARY KEY (id);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT pk_api_keys PRIMARY KEY (id);
ALTER TABLE ONLY public.audit_events
    ADD CONSTRAINT pk_audit_events PRIMARY KEY (id);
ALTER TABLE ONLY public.clock
    ADD CONSTRAINT pk_clock PRIMARY KEY (id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT pk_events PRIMARY KEY (seq);
ALTER TABLE ONLY public.gateways
    ADD CONSTRAINT pk_gateways PRIMARY KEY (id);
ALTER TABLE ONLY public.job_lanes
    ADD CONSTRAINT pk_job_lanes PRIMARY KEY (lane);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT pk_jobs PRIMARY KEY (id);
ALTER TABLE ONLY public.participant_tokens
    ADD CONSTRAINT pk_participant_tokens PRIMARY KEY (participant_id, family);
ALTER TABLE ONLY public.revoked_tokens
    ADD CONSTRAINT pk_revoked_tokens PRIMARY KEY (family);
ALTER TABLE ONLY public.room_compositions
    ADD CONSTRAINT pk_room_compositions PRIMARY KEY (id);
ALTER TABLE ONLY public.room_counts
    ADD CONSTRAINT pk_room_counts PRIMARY KEY (account_id, bucket);
ALTER TABLE ONLY public.room_participants
    ADD CONSTRAINT pk_room_participants PRIMARY KEY (id);
ALTER TABLE ONLY public.room_recordings
    ADD CONSTRAINT pk_room_recordings PRIMARY KEY (id);
ALTER TABLE ONLY public.room_sessions
    ADD CONSTRAINT pk_room_sessions PRIMARY KEY (id);
ALTER TABLE ONLY public.rooms
    ADD CONSTRAINT pk_rooms PRIMARY KEY (id);
ALTER TABLE ONLY public.signing_keys
    ADD CONSTRAINT pk_signing_keys PRIMARY KEY (id);
ALTER TABLE ONLY public.webhook_attempts
    ADD CONSTRAINT pk_webhook_attempts PRIMARY KEY (delivery_id, number);
ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT pk_webhook_deliveries PRIMARY KEY (seq);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT uq_accounts_name UNIQUE (name);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT uq_api_keys_sha256 UNIQUE (sha256);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT uq_events_id UNIQUE (id);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT uq_jobs_kind_subject UNIQUE (kind, subject);
ALTER TABLE ONLY public.room_recordings
    ADD CONSTRAINT uq_room_recordings_mjr_name_type UNIQUE (mjr_name, type);
ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT uq_webhook_deliveries_id UNIQUE (id);
CREATE INDEX ix_audit_events_account_id_created_at ON public.audit_events USING btree (account_id, created_at, id);
CREATE INDEX ix_audit_events_created_at ON public.audit_events USING btree (created_at);
CREATE INDEX ix_events_account_id_seq ON public.events USING btree (account_id, seq);
CREATE INDEX ix_events_occurred_at ON public.events USING btree (occurred_at);
CREATE INDEX ix_events_room_id_seq ON public.events USING btree (room_id, seq);
CREATE INDEX ix_jobs_kind_due_at ON public.jobs USING btree (kind, due_at);
CREATE INDEX ix_jobs_waits_for ON public.jobs USING btree (waits_for) WHERE (waits_for IS NOT NULL);
CREATE INDEX ix_room_compositions_account_id_created_at ON public.room_compositions USING btree (account_id, created_at, id);
CREATE INDEX ix_room_compositions_session_id ON public.room_compositions USING btree (session_id);
CREATE INDEX ix_room_participants_account_id_joined_at ON public.room_participants USING btree (account_id, joined_at, id);
CREATE INDEX ix_room_participants_gateway_id_updated_at ON public.room_participants USING btree (gateway_id, updated_at);
CREATE INDEX ix_room_participants_present ON public.room_participants USING btree (gateway_id) WHERE (left_at IS NULL);
CREATE INDEX ix_room_participants_session_id_joined_at ON public.room_participants USING btree (session_id, joined_at, id);
CREATE INDEX ix_room_recordings_account_id_created_at ON public.room_recordings USING btree (account_id, created_at, id);
CREATE INDEX ix_room_recordings_going_on ON public.room_recordings USING btree (participant_id) WHERE (ended_at IS NULL);
CREATE INDEX ix_room_recordings_participant_id ON public.room_recordings USING btree (participant_id);
CREATE INDEX ix_room_recordings_session_id ON public.room_recordings USING btree (session_id);
CREATE INDEX ix_room_sessions_account_id_created_at ON public.room_sessions USING btree (account_id, created_at, id);
CREATE INDEX ix_room_sessions_room_id_created_at ON public.room_sessions USING btree (room_id, created_at, id);
CREATE INDEX ix_rooms_account_id_created_at ON public.rooms USING btree (account_id, created_at, id);
CREATE INDEX ix_webhook_deliveries_account_id_created_at ON public.webhook_deliveries USING btree (account_id, created_at, id);
CREATE INDEX ix_webhook_deliveries_created_at ON public.webhook_deliveries USING btree (created_at);
CREATE INDEX ix_webhook_deliveries_later ON public.webhook_deliveries USING btree (due_at) WHERE ((stage)::text = 'later'::text);
CREATE INDEX ix_webhook_deliveries_leased ON public.webhook_deliveries USING btree (leased_until) WHERE ((stage)::text = 'leased'::text);
CREATE INDEX ix_webhook_deliveries_ready ON public.webhook_deliveries USING btree (account_id, origin, url_head, due_at, seq) WHERE ((stage)::text = 'ready'::text);
CREATE INDEX ix_webhook_deliveries_unproven ON public.webhook_deliveries USING btree (room_id, seq) WHERE (((status)::text = 'pending'::text) AND (rounds = 0));
CREATE UNIQUE INDEX uq_room_sessions_active ON public.room_sessions USING btree (room_id) WHERE active;
CREATE UNIQUE INDEX uq_rooms_account_id_unique_name ON public.rooms USING btree (account_id, unique_name) WHERE (deleted_at IS NULL);
CREATE UNIQUE INDEX uq_signing_keys_current ON public.signing_keys USING btree (purpose) WHERE (retired_at IS NULL);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT fk_api_keys_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.audit_events
    ADD CONSTRAINT fk_audit_events_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT fk_events_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT fk_events_room_id FOREIGN KEY (room_id) REFERENCES public.rooms(id);
ALTER TABLE ONLY public.participant_tokens
    ADD CONSTRAINT fk_participant_tokens_participant_id FOREIGN KEY (participant_id) REFERENCES public.room_participants(id);
ALTER TABLE ONLY public.revoked_tokens
    ADD CONSTRAINT fk_revoked_tokens_room_id FOREIGN KEY (room_id) REFERENCES public.rooms(id);
ALTER TABLE ONLY public.room_compositions
    ADD CONSTRAINT fk_room_compositions_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.room_compositions
    ADD CONSTRAINT fk_room_compositions_room_id FOREIGN KEY (room_id) REFERENCES public.rooms(id);
ALTER TABLE ONLY public.room_compositions
    ADD CONSTRAINT fk_room_compositions_session_id FOREIGN KEY (session_id) REFERENCES public.room_sessions(id);
ALTER TABLE ONLY public.room_counts
    ADD CONSTRAINT fk_room_counts_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.room_participants
    ADD CONSTRAINT fk_room_participants_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.room_participants
    ADD CONSTRAINT fk_room_participants_room_id FOREIGN KEY (room_id) REFERENCES public.rooms(id);
ALTER TABLE ONLY public.room_participants
    ADD CONSTRAINT fk_room_participants_session_id FOREIGN KEY (session_id) REFERENCES public.room_sessions(id);
ALTER TABLE ONLY public.room_recordings
    ADD CONSTRAINT fk_room_recordings_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.room_recordings
    ADD CONSTRAINT fk_room_recordings_participant_id FOREIGN KEY (participant_id) REFERENCES public.room_participants(id);
ALTER TABLE ONLY public.room_recordings
    ADD CONSTRAINT fk_room_recordings_room_id FOREIGN KEY (room_id) REFERENCES public.rooms(id);
ALTER TABLE ONLY public.room_recordings
    ADD CONSTRAINT fk_room_recordings_session_id FOREIGN KEY (session_id) REFERENCES public.room_sessions(id);
ALTER TABLE ONLY public.room_sessions
    ADD CONSTRAINT fk_room_sessions_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.room_sessions
    ADD CONSTRAINT fk_room_sessions_room_id FOREIGN KEY (room_id) REFERENCES public.rooms(id);
ALTER TABLE ONLY public.rooms
    ADD CONSTRAINT fk_rooms_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.webhook_attempts
    ADD CONSTRAINT fk_webhook_attempts_delivery_id FOREIGN KEY (delivery_id) REFERENCES public.webhook_deliveries(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT fk_webhook_deliveries_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT fk_webhook_deliveries_room_id FOREIGN KEY (room_id) REFERENCES public.rooms(id);
