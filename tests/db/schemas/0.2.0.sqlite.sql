-- 7019755b-722a-4260-89da-734273184297 h5NPqhnKKlwSmAdHlG_Pgg
BEGIN TRANSACTION;
CREATE TABLE accounts (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_accounts PRIMARY KEY (id), 
	CONSTRAINT uq_accounts_name UNIQUE (name)
);
INSERT INTO "accounts" VALUES('a2db560a-1985-4af4-87d6-4636456cdc7a','default','2026-02-02 22:25:27.521992');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0015');
CREATE TABLE "api_keys" (
	id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	revoked_at DATETIME, 
	name VARCHAR(255), 
	scopes JSON, 
	from_setting BOOLEAN DEFAULT 0 NOT NULL, 
	last_used_at DATETIME, 
	expires_at DATETIME, 
	CONSTRAINT pk_api_keys PRIMARY KEY (id), 
	CONSTRAINT fk_api_keys_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT uq_api_keys_sha256 UNIQUE (sha256)
);
INSERT INTO "api_keys" VALUES('85d8b28e-0ceb-4e2c-988c-fe20b2eb1dc5','a2db560a-1985-4af4-87d6-4636456cdc7a','c466e9d9ee8a7747e7ee459ae4fb8eb83332a6e88c1e4c62fad958293dfeac2c','2026-02-02 22:25:27.521992',NULL,NULL,NULL,0,NULL,NULL);
CREATE TABLE audit_events (
	id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36), 
	key_id VARCHAR(36), 
	operation VARCHAR(64) NOT NULL, 
	object_id VARCHAR(255), 
	request_id VARCHAR(128), 
	detail TEXT, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_audit_events PRIMARY KEY (id), 
	CONSTRAINT fk_audit_events_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
INSERT INTO "audit_events" VALUES('8def9cf4-c214-48cf-ab57-45ac5f01507d','a2db560a-1985-4af4-87d6-4636456cdc7a',NULL,'create_room','7019755b-722a-4260-89da-734273184297',NULL,NULL,'2026-02-02 22:25:27.521992');
CREATE TABLE clock (
	id INTEGER NOT NULL, 
	stepped_ms BIGINT NOT NULL, trusted_at DATETIME, held_until DATETIME, 
	CONSTRAINT pk_clock PRIMARY KEY (id)
);
INSERT INTO "clock" VALUES(1,250,NULL,NULL);
CREATE TABLE events (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	room_id VARCHAR(36) NOT NULL, 
	event_type VARCHAR(64) NOT NULL, 
	occurred_at DATETIME NOT NULL, 
	payload JSON NOT NULL, 
	CONSTRAINT fk_events_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT fk_events_room_id FOREIGN KEY(room_id) REFERENCES rooms (id), 
	CONSTRAINT uq_events_id UNIQUE (id)
);
INSERT INTO "events" VALUES(1,'8cea6b66-e6ac-4b89-aced-2981b850054a','a2db560a-1985-4af4-87d6-4636456cdc7a','7019755b-722a-4260-89da-734273184297','video.room.session.started','2026-02-02 22:25:27.521992','{"session_id": "736de64b-19e4-4d51-aac4-330bea812776", "room_id": "7019755b-722a-4260-89da-734273184297"}');
INSERT INTO "events" VALUES(2,'d68ee0a6-34f3-437d-8375-e31656581251','a2db560a-1985-4af4-87d6-4636456cdc7a','7019755b-722a-4260-89da-734273184297','video.room.participant.joined','2026-02-02 22:25:27.521992','{"session_id": "736de64b-19e4-4d51-aac4-330bea812776", "room_id": "7019755b-722a-4260-89da-734273184297", "participant_id": "2072cd3c-a5da-4f87-a731-6acc21861ec1", "context": "{\"username\": \"Anna\"}"}');
INSERT INTO "events" VALUES(3,'64d8a349-5568-46a0-8e47-4563590af6cd','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','video.room.session.started','2026-02-02 22:25:27.521992','{"session_id": "668021bc-9448-47ba-8877-361b305e12e6", "room_id": "6e99ced5-833f-4595-9eb3-c43fd05559dd"}');
INSERT INTO "events" VALUES(4,'ef016815-3001-46ea-890b-ba5d1d4ef99b','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','video.room.participant.joined','2026-02-02 22:25:27.521992','{"session_id": "668021bc-9448-47ba-8877-361b305e12e6", "room_id": "6e99ced5-833f-4595-9eb3-c43fd05559dd", "participant_id": "96512fee-8a5b-444c-ac51-9cba4afed358", "context": null}');
INSERT INTO "events" VALUES(5,'5ac8d609-991c-47a5-9d31-01a2629aea51','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','video.room.recording.started','2026-02-02 22:25:27.521992','{"session_id": "668021bc-9448-47ba-8877-361b305e12e6", "room_id": "6e99ced5-833f-4595-9eb3-c43fd05559dd", "participant_id": "96512fee-8a5b-444c-ac51-9cba4afed358", "recording_id": "30d23861-c3f7-4aca-a0c6-9f944772a53a", "type": "video"}');
INSERT INTO "events" VALUES(6,'cd8a774e-955b-4966-9ad5-daf59a67d11b','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','video.room.recording.completed','2026-02-02 22:26:27.521992','{"session_id": "668021bc-9448-47ba-8877-361b305e12e6", "room_id": "6e99ced5-833f-4595-9eb3-c43fd05559dd", "participant_id": "96512fee-8a5b-444c-ac51-9cba4afed358", "recording_id": "30d23861-c3f7-4aca-a0c6-9f944772a53a", "type": "video", "size_mb": 5.6, "download_url": "https://files.example.com/recordings/668021bc-9448-47ba-8877-361b305e12e6/30d23861-c3f7-4aca-a0c6-9f944772a53a.webm?filename=recording-20260202T222527Z-video-30d23861.webm", "codec": "vp8", "duration_secs": 60}');
INSERT INTO "events" VALUES(7,'873236e1-e7bf-4eb7-9941-f9797cd5b7bc','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','video.room.participant.left','2026-02-02 22:27:27.521992','{"session_id": "668021bc-9448-47ba-8877-361b305e12e6", "room_id": "6e99ced5-833f-4595-9eb3-c43fd05559dd", "participant_id": "96512fee-8a5b-444c-ac51-9cba4afed358", "context": null, "duration_secs": 120, "left_reason": "session_ended"}');
INSERT INTO "events" VALUES(8,'153c706c-49cc-406e-8ab0-ddd624cca4ff','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','video.room.session.ended','2026-02-02 22:27:27.521992','{"session_id": "668021bc-9448-47ba-8877-361b305e12e6", "room_id": "6e99ced5-833f-4595-9eb3-c43fd05559dd", "duration_secs": 120, "ended_reason": "Ended from API"}');
CREATE TABLE "gateways" (
	id VARCHAR(36) NOT NULL, 
	started_at DATETIME NOT NULL, 
	seen_at DATETIME NOT NULL, 
	dead BOOLEAN DEFAULT 0 NOT NULL, node_id VARCHAR(64), 
	CONSTRAINT pk_gateways PRIMARY KEY (id)
);
INSERT INTO "gateways" VALUES('0e2204d8-ed60-4eb7-a8cb-64ba94c2f869','2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',0,NULL);
INSERT INTO "gateways" VALUES('31a0d784-c145-4a0c-9038-ae3b64e70be7','2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',0,NULL);
CREATE TABLE job_lanes (
	lane VARCHAR(36) NOT NULL, 
	turn BIGINT NOT NULL, 
	CONSTRAINT pk_job_lanes PRIMARY KEY (lane)
);
INSERT INTO "job_lanes" VALUES('a lane',3);
CREATE TABLE jobs (
	id VARCHAR(36) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	subject TEXT NOT NULL, 
	due_at DATETIME NOT NULL, 
	leased_until DATETIME, 
	attempts INTEGER NOT NULL, 
	last_error TEXT, 
	created_at DATETIME NOT NULL, lane VARCHAR(36), waits_for VARCHAR(36), woken BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_jobs PRIMARY KEY (id), 
	CONSTRAINT uq_jobs_kind_subject UNIQUE (kind, subject)
);
INSERT INTO "jobs" VALUES('c28d6bab-b3d3-4afb-a536-1942aa84220d','convert_recording','30d23861-c3f7-4aca-a0c6-9f944772a53a','2026-02-02 22:26:27.521992',NULL,0,NULL,'2026-02-02 22:26:27.521992',NULL,NULL,0);
INSERT INTO "jobs" VALUES('193eb9e7-b2ff-403f-8efb-a3e878739b97','convert_recording','8e3a2c90-c04b-44dd-b590-8b8e60fb61c4','2026-02-02 22:26:27.521992',NULL,0,NULL,'2026-02-02 22:26:27.521992',NULL,NULL,0);
INSERT INTO "jobs" VALUES('66241519-5db0-414e-8946-6cccac2725d4','convert_recording','760f3031-bf22-4056-afed-e744bf8ec65c','2026-02-02 22:27:27.521992',NULL,0,NULL,'2026-02-02 22:27:27.521992',NULL,NULL,0);
INSERT INTO "jobs" VALUES('d89fa44a-5032-410b-9646-2b78f84d17fb','convert_recording','e086833b-0a5c-43fd-b884-f5501efedc89','2026-02-02 22:27:27.521992',NULL,0,NULL,'2026-02-02 22:27:27.521992',NULL,NULL,0);
INSERT INTO "jobs" VALUES('da18903e-4c64-45f3-86d9-83ed0b02c323','compose','a94f753d-4469-4abc-8ea9-104fad88a5cc','2026-02-02 22:28:27.521992',NULL,0,NULL,'2026-02-02 22:28:27.521992','a2db560a-1985-4af4-87d6-4636456cdc7a','668021bc-9448-47ba-8877-361b305e12e6',0);
CREATE TABLE participant_tokens (
	participant_id VARCHAR(36) NOT NULL, 
	family VARCHAR(18) NOT NULL, 
	CONSTRAINT pk_participant_tokens PRIMARY KEY (participant_id, family), 
	CONSTRAINT fk_participant_tokens_participant_id FOREIGN KEY(participant_id) REFERENCES room_participants (id)
);
INSERT INTO "participant_tokens" VALUES('96512fee-8a5b-444c-ac51-9cba4afed358','ffffffffffffffffff');
CREATE TABLE revoked_tokens (
	family VARCHAR(18) NOT NULL, 
	room_id VARCHAR(36) NOT NULL, 
	forget_at DATETIME NOT NULL, 
	CONSTRAINT pk_revoked_tokens PRIMARY KEY (family), 
	CONSTRAINT fk_revoked_tokens_room_id FOREIGN KEY(room_id) REFERENCES rooms (id)
);
INSERT INTO "revoked_tokens" VALUES('rrrrrrrrrrrrrrrrrr','7019755b-722a-4260-89da-734273184297','2026-02-03 22:25:27.521992');
CREATE TABLE room_compositions (
	id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	room_id VARCHAR(36) NOT NULL, 
	session_id VARCHAR(36) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	format VARCHAR(8) NOT NULL, 
	resolution VARCHAR(16) NOT NULL, 
	video_layout JSON NOT NULL, 
	audio_sources JSON, 
	show_placeholders BOOLEAN NOT NULL, 
	webhook_event_url TEXT, 
	webhook_event_failover_url TEXT NOT NULL, 
	webhook_timeout_secs INTEGER, 
	progress FLOAT NOT NULL, 
	size_bytes BIGINT, 
	sha256 VARCHAR(64), 
	object_key TEXT, 
	duration_secs INTEGER, 
	failure TEXT, 
	started_at DATETIME, 
	ended_at DATETIME, 
	completed_at DATETIME, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, digest VARCHAR(64), 
	CONSTRAINT pk_room_compositions PRIMARY KEY (id), 
	CONSTRAINT fk_room_compositions_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT fk_room_compositions_room_id FOREIGN KEY(room_id) REFERENCES rooms (id), 
	CONSTRAINT fk_room_compositions_session_id FOREIGN KEY(session_id) REFERENCES room_sessions (id)
);
INSERT INTO "room_compositions" VALUES('a94f753d-4469-4abc-8ea9-104fad88a5cc','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','668021bc-9448-47ba-8877-361b305e12e6','enqueued','mp4','1280x720','{"main": {"x_pos": 0, "y_pos": 0, "z_pos": 0, "width": 1280, "height": 720, "max_columns": null, "max_rows": null, "video_sources": ["*"]}}','["*"]',0,NULL,'',NULL,0.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'2026-02-02 22:28:27.521992','2026-02-02 22:28:27.521992',NULL);
CREATE TABLE room_counts (
	account_id VARCHAR(36) NOT NULL, 
	bucket INTEGER NOT NULL, 
	rooms BIGINT NOT NULL, 
	CONSTRAINT pk_room_counts PRIMARY KEY (account_id, bucket), 
	CONSTRAINT fk_room_counts_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
INSERT INTO "room_counts" VALUES('a2db560a-1985-4af4-87d6-4636456cdc7a',0,1);
INSERT INTO "room_counts" VALUES('a2db560a-1985-4af4-87d6-4636456cdc7a',14,1);
CREATE TABLE "room_participants" (
	id VARCHAR(36) NOT NULL, 
	session_id VARCHAR(36) NOT NULL, 
	room_id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	gateway_id VARCHAR(36) NOT NULL, 
	context TEXT, 
	joined_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	left_at DATETIME, 
	left_reason VARCHAR(64), 
	audio_muted BOOLEAN DEFAULT 0 NOT NULL, 
	label VARCHAR(255), 
	CONSTRAINT pk_room_participants PRIMARY KEY (id), 
	CONSTRAINT fk_room_participants_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT fk_room_participants_room_id FOREIGN KEY(room_id) REFERENCES rooms (id), 
	CONSTRAINT fk_room_participants_session_id FOREIGN KEY(session_id) REFERENCES room_sessions (id)
);
INSERT INTO "room_participants" VALUES('2072cd3c-a5da-4f87-a731-6acc21861ec1','736de64b-19e4-4d51-aac4-330bea812776','7019755b-722a-4260-89da-734273184297','a2db560a-1985-4af4-87d6-4636456cdc7a','0e2204d8-ed60-4eb7-a8cb-64ba94c2f869','{"username": "Anna"}','2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',NULL,NULL,0,NULL);
INSERT INTO "room_participants" VALUES('96512fee-8a5b-444c-ac51-9cba4afed358','668021bc-9448-47ba-8877-361b305e12e6','6e99ced5-833f-4595-9eb3-c43fd05559dd','a2db560a-1985-4af4-87d6-4636456cdc7a','31a0d784-c145-4a0c-9038-ae3b64e70be7',NULL,'2026-02-02 22:25:27.521992','2026-02-02 22:27:27.521992','2026-02-02 22:27:27.521992','session_ended',0,NULL);
CREATE TABLE "room_recordings" (
	id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	room_id VARCHAR(36) NOT NULL, 
	session_id VARCHAR(36) NOT NULL, 
	participant_id VARCHAR(36) NOT NULL, 
	type VARCHAR(8) NOT NULL, 
	stream_key TEXT NOT NULL, 
	mjr_name VARCHAR(64) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	codec VARCHAR(16), 
	shown JSON NOT NULL, 
	size_bytes BIGINT, 
	sha256 VARCHAR(64), 
	object_key TEXT, 
	duration_secs INTEGER, 
	failure TEXT, 
	started_at DATETIME, 
	ended_at DATETIME, 
	completed_at DATETIME, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_room_recordings PRIMARY KEY (id), 
	CONSTRAINT fk_room_recordings_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT fk_room_recordings_participant_id FOREIGN KEY(participant_id) REFERENCES room_participants (id), 
	CONSTRAINT fk_room_recordings_room_id FOREIGN KEY(room_id) REFERENCES rooms (id), 
	CONSTRAINT fk_room_recordings_session_id FOREIGN KEY(session_id) REFERENCES room_sessions (id), 
	CONSTRAINT uq_room_recordings_mjr_name_type UNIQUE (mjr_name, type)
);
INSERT INTO "room_recordings" VALUES('30d23861-c3f7-4aca-a0c6-9f944772a53a','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','668021bc-9448-47ba-8877-361b305e12e6','96512fee-8a5b-444c-ac51-9cba4afed358','video','self','mjr-1409318884b646e3a402fcb64559865a','completed','vp8','[[1770071127521, 1770071187521]]',5600000,'0000000000000000000000000000000000000000000000000000000000000000','recordings/668021bc-9448-47ba-8877-361b305e12e6/30d23861-c3f7-4aca-a0c6-9f944772a53a.webm',60,NULL,'2026-02-02 22:25:27.521992','2026-02-02 22:26:27.521992','2026-02-02 22:26:27.521992','2026-02-02 22:25:27.521992','2026-02-02 22:26:27.521992');
INSERT INTO "room_recordings" VALUES('760f3031-bf22-4056-afed-e744bf8ec65c','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','668021bc-9448-47ba-8877-361b305e12e6','96512fee-8a5b-444c-ac51-9cba4afed358','audio','presentation','mjr-858ed6e8007a4798932fe6713859eaed','processing',NULL,'[]',NULL,NULL,NULL,NULL,NULL,NULL,'2026-02-02 22:27:27.521992',NULL,'2026-02-02 22:25:27.521992','2026-02-02 22:27:27.521992');
INSERT INTO "room_recordings" VALUES('e086833b-0a5c-43fd-b884-f5501efedc89','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','668021bc-9448-47ba-8877-361b305e12e6','96512fee-8a5b-444c-ac51-9cba4afed358','video','presentation','mjr-858ed6e8007a4798932fe6713859eaed','processing',NULL,'[]',NULL,NULL,NULL,NULL,NULL,NULL,'2026-02-02 22:27:27.521992',NULL,'2026-02-02 22:25:27.521992','2026-02-02 22:27:27.521992');
CREATE TABLE "room_sessions" (
	id VARCHAR(36) NOT NULL, 
	room_id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	active BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	ended_reason VARCHAR(64), 
	empty_at DATETIME, 
	recording BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_room_sessions PRIMARY KEY (id), 
	CONSTRAINT fk_room_sessions_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT fk_room_sessions_room_id FOREIGN KEY(room_id) REFERENCES rooms (id)
);
INSERT INTO "room_sessions" VALUES('736de64b-19e4-4d51-aac4-330bea812776','7019755b-722a-4260-89da-734273184297','a2db560a-1985-4af4-87d6-4636456cdc7a',1,'2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',NULL,NULL,NULL,0);
INSERT INTO "room_sessions" VALUES('668021bc-9448-47ba-8877-361b305e12e6','6e99ced5-833f-4595-9eb3-c43fd05559dd','a2db560a-1985-4af4-87d6-4636456cdc7a',0,'2026-02-02 22:25:27.521992','2026-02-02 22:27:27.521992','2026-02-02 22:27:27.521992','Ended from API',NULL,0);
CREATE TABLE "rooms" (
	id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	unique_name VARCHAR(255), 
	max_participants INTEGER NOT NULL, 
	enable_recording BOOLEAN NOT NULL, 
	webhook_event_url TEXT, 
	webhook_event_failover_url TEXT NOT NULL, 
	webhook_timeout_secs INTEGER, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	deleted_at DATETIME, 
	link_generation INTEGER DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_rooms PRIMARY KEY (id), 
	CONSTRAINT fk_rooms_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
INSERT INTO "rooms" VALUES('7019755b-722a-4260-89da-734273184297','a2db560a-1985-4af4-87d6-4636456cdc7a','stand-up',7,0,NULL,'',NULL,'2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',NULL,0);
INSERT INTO "rooms" VALUES('6e99ced5-833f-4595-9eb3-c43fd05559dd','a2db560a-1985-4af4-87d6-4636456cdc7a',NULL,10,0,'http://127.0.0.1:1/hook','',NULL,'2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',NULL,0);
CREATE TABLE signing_keys (
	id VARCHAR(36) NOT NULL, 
	purpose VARCHAR(32) NOT NULL, 
	secret VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	retired_at DATETIME, 
	CONSTRAINT pk_signing_keys PRIMARY KEY (id)
);
INSERT INTO "signing_keys" VALUES('7f62b763-5f13-4d2f-b30c-ea663a289475','token','z33pOiTAjnBSfvk/Zg+OOKaWhn/HBkOUXbfJ2B6XaYU=','2026-02-02 22:25:27.521992',NULL);
INSERT INTO "signing_keys" VALUES('66c708b6-5605-4d72-b038-118a44f9c3e2','invite','38Pj58A/eQoBxY5Y5H+mWtq0NuGj/MYHHGhu5YU0UII=','2026-02-02 22:25:27.521992',NULL);
INSERT INTO "signing_keys" VALUES('46c84b73-2130-4eea-8cb0-37647a502eb1','file','tuAdGF3aip+YIm4mCS2AzhZwK0t7hA5uEJcXkKUqyAI=','2026-02-02 22:25:27.521992',NULL);
CREATE TABLE webhook_attempts (
	delivery_id VARCHAR(36) NOT NULL, 
	number INTEGER NOT NULL, 
	url TEXT NOT NULL, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME NOT NULL, 
	delivered BOOLEAN NOT NULL, 
	status_code INTEGER, 
	error TEXT, 
	request_headers JSON NOT NULL, 
	response_headers JSON NOT NULL, 
	response_body TEXT NOT NULL, 
	CONSTRAINT pk_webhook_attempts PRIMARY KEY (delivery_id, number), 
	CONSTRAINT fk_webhook_attempts_delivery_id FOREIGN KEY(delivery_id) REFERENCES webhook_deliveries (id) ON DELETE CASCADE
);
INSERT INTO "webhook_attempts" VALUES('6f85178c-add3-467c-b634-1fa04b7e4c97',1,'http://127.0.0.1:1/hook','2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',0,503,NULL,'{}','{"retry-after": "9"}','x');
CREATE TABLE webhook_deliveries (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	room_id VARCHAR(36) NOT NULL, 
	event_type VARCHAR(64) NOT NULL, 
	data TEXT NOT NULL, 
	url TEXT NOT NULL, 
	failover_url TEXT NOT NULL, 
	timeout_secs INTEGER, 
	origin TEXT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	rounds INTEGER NOT NULL, 
	attempts INTEGER NOT NULL, 
	due_at DATETIME, 
	leased_until DATETIME, 
	first_at DATETIME NOT NULL, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, stage VARCHAR(8), url_head TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT fk_webhook_deliveries_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT fk_webhook_deliveries_room_id FOREIGN KEY(room_id) REFERENCES rooms (id), 
	CONSTRAINT uq_webhook_deliveries_id UNIQUE (id)
);
INSERT INTO "webhook_deliveries" VALUES(1,'6f85178c-add3-467c-b634-1fa04b7e4c97','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','video.room.session.started','{"record_type":"event","event_type":"video.room.session.started","id":"64d8a349-5568-46a0-8e47-4563590af6cd","occurred_at":"2026-02-02T22:25:27.521992Z","payload":{"session_id":"668021bc-9448-47ba-8877-361b305e12e6","room_id":"6e99ced5-833f-4595-9eb3-c43fd05559dd"}}','http://127.0.0.1:1/hook','',NULL,'http://127.0.0.1:1','pending',0,0,'2026-02-02 22:25:27.521992',NULL,'2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',NULL,NULL,'ready','http://127.0.0.1:1/hook');
INSERT INTO "webhook_deliveries" VALUES(2,'1f854ca7-a191-4f7f-a8fd-e1a0b5447327','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','video.room.participant.joined','{"record_type":"event","event_type":"video.room.participant.joined","id":"ef016815-3001-46ea-890b-ba5d1d4ef99b","occurred_at":"2026-02-02T22:25:27.521992Z","payload":{"session_id":"668021bc-9448-47ba-8877-361b305e12e6","room_id":"6e99ced5-833f-4595-9eb3-c43fd05559dd","participant_id":"96512fee-8a5b-444c-ac51-9cba4afed358","context":null}}','http://127.0.0.1:1/hook','',NULL,'http://127.0.0.1:1','pending',0,0,'2026-02-02 22:25:27.521992',NULL,'2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',NULL,NULL,'held','http://127.0.0.1:1/hook');
INSERT INTO "webhook_deliveries" VALUES(3,'198b00fa-bba8-4261-b6cc-6905f8d483e2','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','video.room.recording.started','{"record_type":"event","event_type":"video.room.recording.started","id":"5ac8d609-991c-47a5-9d31-01a2629aea51","occurred_at":"2026-02-02T22:25:27.521992Z","payload":{"session_id":"668021bc-9448-47ba-8877-361b305e12e6","room_id":"6e99ced5-833f-4595-9eb3-c43fd05559dd","participant_id":"96512fee-8a5b-444c-ac51-9cba4afed358","recording_id":"30d23861-c3f7-4aca-a0c6-9f944772a53a","type":"video"}}','http://127.0.0.1:1/hook','',NULL,'http://127.0.0.1:1','pending',0,0,'2026-02-02 22:25:27.521992',NULL,'2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',NULL,NULL,'held','http://127.0.0.1:1/hook');
INSERT INTO "webhook_deliveries" VALUES(4,'07259549-97e5-467d-adcd-c9c541c60c0e','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','video.room.recording.completed','{"record_type":"event","event_type":"video.room.recording.completed","id":"cd8a774e-955b-4966-9ad5-daf59a67d11b","occurred_at":"2026-02-02T22:26:27.521992Z","payload":{"session_id":"668021bc-9448-47ba-8877-361b305e12e6","room_id":"6e99ced5-833f-4595-9eb3-c43fd05559dd","participant_id":"96512fee-8a5b-444c-ac51-9cba4afed358","recording_id":"30d23861-c3f7-4aca-a0c6-9f944772a53a","type":"video","size_mb":5.6,"download_url":"https://files.example.com/recordings/668021bc-9448-47ba-8877-361b305e12e6/30d23861-c3f7-4aca-a0c6-9f944772a53a.webm?filename=recording-20260202T222527Z-video-30d23861.webm","codec":"vp8","duration_secs":60}}','http://127.0.0.1:1/hook','',NULL,'http://127.0.0.1:1','pending',0,0,'2026-02-02 22:26:27.521992',NULL,'2026-02-02 22:26:27.521992','2026-02-02 22:26:27.521992',NULL,NULL,'held','http://127.0.0.1:1/hook');
INSERT INTO "webhook_deliveries" VALUES(5,'f1921aa1-6fb5-4d16-bbca-1c223199d2c9','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','video.room.participant.left','{"record_type":"event","event_type":"video.room.participant.left","id":"873236e1-e7bf-4eb7-9941-f9797cd5b7bc","occurred_at":"2026-02-02T22:27:27.521992Z","payload":{"session_id":"668021bc-9448-47ba-8877-361b305e12e6","room_id":"6e99ced5-833f-4595-9eb3-c43fd05559dd","participant_id":"96512fee-8a5b-444c-ac51-9cba4afed358","context":null,"duration_secs":120,"left_reason":"session_ended"}}','http://127.0.0.1:1/hook','',NULL,'http://127.0.0.1:1','pending',0,0,'2026-02-02 22:27:27.521992',NULL,'2026-02-02 22:27:27.521992','2026-02-02 22:27:27.521992',NULL,NULL,'held','http://127.0.0.1:1/hook');
INSERT INTO "webhook_deliveries" VALUES(6,'36fa8bc6-4643-4f88-bbb5-ab4ce06520ba','a2db560a-1985-4af4-87d6-4636456cdc7a','6e99ced5-833f-4595-9eb3-c43fd05559dd','video.room.session.ended','{"record_type":"event","event_type":"video.room.session.ended","id":"153c706c-49cc-406e-8ab0-ddd624cca4ff","occurred_at":"2026-02-02T22:27:27.521992Z","payload":{"session_id":"668021bc-9448-47ba-8877-361b305e12e6","room_id":"6e99ced5-833f-4595-9eb3-c43fd05559dd","duration_secs":120,"ended_reason":"Ended from API"}}','http://127.0.0.1:1/hook','',NULL,'http://127.0.0.1:1','pending',0,0,'2026-02-02 22:27:27.521992',NULL,'2026-02-02 22:27:27.521992','2026-02-02 22:27:27.521992',NULL,NULL,'held','http://127.0.0.1:1/hook');
CREATE UNIQUE INDEX uq_signing_keys_current ON signing_keys (purpose) WHERE retired_at IS NULL;
CREATE INDEX ix_events_account_id_seq ON events (account_id, seq);
CREATE INDEX ix_events_room_id_seq ON events (room_id, seq);
CREATE INDEX ix_events_occurred_at ON events (occurred_at);
CREATE INDEX ix_webhook_deliveries_account_id_created_at ON webhook_deliveries (account_id, created_at, id);
CREATE INDEX ix_webhook_deliveries_created_at ON webhook_deliveries (created_at);
CREATE INDEX ix_webhook_deliveries_unproven ON webhook_deliveries (room_id, seq) WHERE status = 'pending' AND rounds = 0;
CREATE INDEX ix_jobs_kind_due_at ON jobs (kind, due_at);
CREATE INDEX ix_room_compositions_account_id_created_at ON room_compositions (account_id, created_at, id);
CREATE INDEX ix_room_compositions_session_id ON room_compositions (session_id);
CREATE INDEX ix_room_participants_session_id_joined_at ON room_participants (session_id, joined_at, id);
CREATE INDEX ix_room_participants_present ON room_participants (gateway_id) WHERE left_at IS NULL;
CREATE INDEX ix_room_participants_account_id_joined_at ON room_participants (account_id, joined_at, id);
CREATE INDEX ix_room_participants_gateway_id_updated_at ON room_participants (gateway_id, updated_at);
CREATE INDEX ix_room_sessions_account_id_created_at ON room_sessions (account_id, created_at, id);
CREATE UNIQUE INDEX uq_room_sessions_active ON room_sessions (room_id) WHERE active;
CREATE INDEX ix_room_sessions_room_id_created_at ON room_sessions (room_id, created_at, id);
CREATE INDEX ix_webhook_deliveries_later ON webhook_deliveries (due_at) WHERE stage = 'later';
CREATE INDEX ix_webhook_deliveries_leased ON webhook_deliveries (leased_until) WHERE stage = 'leased';
CREATE INDEX ix_audit_events_account_id_created_at ON audit_events (account_id, created_at, id);
CREATE INDEX ix_audit_events_created_at ON audit_events (created_at);
CREATE INDEX ix_rooms_account_id_created_at ON rooms (account_id, created_at, id);
CREATE UNIQUE INDEX uq_rooms_account_id_unique_name ON rooms (account_id, unique_name) WHERE deleted_at IS NULL;
CREATE INDEX ix_webhook_deliveries_ready ON webhook_deliveries (account_id, origin, url_head, due_at, seq) WHERE stage = 'ready';
CREATE INDEX ix_room_recordings_participant_id ON room_recordings (participant_id);
CREATE INDEX ix_room_recordings_account_id_created_at ON room_recordings (account_id, created_at, id);
CREATE INDEX ix_room_recordings_going_on ON room_recordings (participant_id) WHERE ended_at IS NULL;
CREATE INDEX ix_room_recordings_session_id ON room_recordings (session_id);
CREATE INDEX ix_jobs_waits_for ON jobs (waits_for) WHERE waits_for IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',8);
INSERT INTO "sqlite_sequence" VALUES('webhook_deliveries',6);
COMMIT;
