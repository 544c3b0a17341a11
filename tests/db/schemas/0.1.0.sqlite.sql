-- 0af4e286-fd70-4ba1-ad88-0af6a99773da l3ImVcbPVHLDZoWadGs3YA
BEGIN TRANSACTION;
CREATE TABLE accounts (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_accounts PRIMARY KEY (id), 
	CONSTRAINT uq_accounts_name UNIQUE (name)
);
INSERT INTO "accounts" VALUES('c8cec94b-b31b-42a4-9643-d51475d2d143','default','2026-02-02 22:25:27.521992');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE api_keys (
	id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	revoked_at DATETIME, 
	CONSTRAINT pk_api_keys PRIMARY KEY (id), 
	CONSTRAINT fk_api_keys_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT uq_api_keys_sha256 UNIQUE (sha256)
);
INSERT INTO "api_keys" VALUES('8e0eab78-4109-4c09-973f-4966cda543c7','c8cec94b-b31b-42a4-9643-d51475d2d143','c466e9d9ee8a7747e7ee459ae4fb8eb83332a6e88c1e4c62fad958293dfeac2c','2026-02-02 22:25:27.521992',NULL);
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
INSERT INTO "events" VALUES(1,'9ec49c24-c93d-4ef0-aed2-78ea01372927','c8cec94b-b31b-42a4-9643-d51475d2d143','0af4e286-fd70-4ba1-ad88-0af6a99773da','video.room.session.started','2026-02-02 22:25:27.521992','{"session_id": "b0d8d495-1461-4d5f-a93c-9dd4055b49d5", "room_id": "0af4e286-fd70-4ba1-ad88-0af6a99773da"}');
INSERT INTO "events" VALUES(2,'743e38e3-33ae-49b8-922d-d03cec68ecfd','c8cec94b-b31b-42a4-9643-d51475d2d143','0af4e286-fd70-4ba1-ad88-0af6a99773da','video.room.participant.joined','2026-02-02 22:25:27.521992','{"session_id": "b0d8d495-1461-4d5f-a93c-9dd4055b49d5", "room_id": "0af4e286-fd70-4ba1-ad88-0af6a99773da", "participant_id": "513c01be-3eff-4502-9596-001325b40778", "context": "{\"username\": \"Anna\"}"}');
INSERT INTO "events" VALUES(3,'11a7fe3c-bf32-47c3-b115-dc16ff86ed9b','c8cec94b-b31b-42a4-9643-d51475d2d143','7bd9dd39-df48-4923-a51c-67731e16eda0','video.room.session.started','2026-02-02 22:25:27.521992','{"session_id": "92467ee2-1589-428b-b882-83a5c83279bf", "room_id": "7bd9dd39-df48-4923-a51c-67731e16eda0"}');
INSERT INTO "events" VALUES(4,'4f3bfbec-d888-4bd2-813a-0a4d04c46eb7','c8cec94b-b31b-42a4-9643-d51475d2d143','7bd9dd39-df48-4923-a51c-67731e16eda0','video.room.participant.joined','2026-02-02 22:25:27.521992','{"session_id": "92467ee2-1589-428b-b882-83a5c83279bf", "room_id": "7bd9dd39-df48-4923-a51c-67731e16eda0", "participant_id": "4cc76798-9940-4ab1-86ed-b637b4980efa", "context": null}');
INSERT INTO "events" VALUES(5,'bbffc51e-0d95-49ba-9ffe-4796df506f77','c8cec94b-b31b-42a4-9643-d51475d2d143','7bd9dd39-df48-4923-a51c-67731e16eda0','video.room.participant.joined','2026-02-02 22:25:27.521992','{"session_id": "92467ee2-1589-428b-b882-83a5c83279bf", "room_id": "7bd9dd39-df48-4923-a51c-67731e16eda0", "participant_id": "05a00541-8ed8-4a4e-ab69-116294db94e5", "context": null}');
CREATE TABLE gateways (
	id VARCHAR(36) NOT NULL, 
	started_at DATETIME NOT NULL, 
	seen_at DATETIME NOT NULL, 
	CONSTRAINT pk_gateways PRIMARY KEY (id)
);
INSERT INTO "gateways" VALUES('939f9dad-571b-466f-8b72-ded743fc3b40','2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992');
INSERT INTO "gateways" VALUES('718ef0b7-438a-43c8-b738-466ea1090a26','2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992');
INSERT INTO "gateways" VALUES('90857438-46a0-41f6-9082-67dd36a382db','2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992');
CREATE TABLE room_participants (
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
	CONSTRAINT pk_room_participants PRIMARY KEY (id), 
	CONSTRAINT fk_room_participants_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT fk_room_participants_room_id FOREIGN KEY(room_id) REFERENCES rooms (id), 
	CONSTRAINT fk_room_participants_session_id FOREIGN KEY(session_id) REFERENCES room_sessions (id)
);
INSERT INTO "room_participants" VALUES('513c01be-3eff-4502-9596-001325b40778','b0d8d495-1461-4d5f-a93c-9dd4055b49d5','0af4e286-fd70-4ba1-ad88-0af6a99773da','c8cec94b-b31b-42a4-9643-d51475d2d143','939f9dad-571b-466f-8b72-ded743fc3b40','{"username": "Anna"}','2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',NULL,NULL);
INSERT INTO "room_participants" VALUES('4cc76798-9940-4ab1-86ed-b637b4980efa','92467ee2-1589-428b-b882-83a5c83279bf','7bd9dd39-df48-4923-a51c-67731e16eda0','c8cec94b-b31b-42a4-9643-d51475d2d143','718ef0b7-438a-43c8-b738-466ea1090a26',NULL,'2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',NULL,NULL);
INSERT INTO "room_participants" VALUES('05a00541-8ed8-4a4e-ab69-116294db94e5','92467ee2-1589-428b-b882-83a5c83279bf','7bd9dd39-df48-4923-a51c-67731e16eda0','c8cec94b-b31b-42a4-9643-d51475d2d143','90857438-46a0-41f6-9082-67dd36a382db',NULL,'2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',NULL,NULL);
CREATE TABLE room_sessions (
	id VARCHAR(36) NOT NULL, 
	room_id VARCHAR(36) NOT NULL, 
	account_id VARCHAR(36) NOT NULL, 
	active BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	ended_reason VARCHAR(64), 
	empty_at DATETIME, 
	CONSTRAINT pk_room_sessions PRIMARY KEY (id), 
	CONSTRAINT fk_room_sessions_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT fk_room_sessions_room_id FOREIGN KEY(room_id) REFERENCES rooms (id)
);
INSERT INTO "room_sessions" VALUES('b0d8d495-1461-4d5f-a93c-9dd4055b49d5','0af4e286-fd70-4ba1-ad88-0af6a99773da','c8cec94b-b31b-42a4-9643-d51475d2d143',1,'2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',NULL,NULL,NULL);
INSERT INTO "room_sessions" VALUES('92467ee2-1589-428b-b882-83a5c83279bf','7bd9dd39-df48-4923-a51c-67731e16eda0','c8cec94b-b31b-42a4-9643-d51475d2d143',1,'2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',NULL,NULL,NULL);
CREATE TABLE rooms (
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
	CONSTRAINT pk_rooms PRIMARY KEY (id), 
	CONSTRAINT fk_rooms_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
INSERT INTO "rooms" VALUES('0af4e286-fd70-4ba1-ad88-0af6a99773da','c8cec94b-b31b-42a4-9643-d51475d2d143','stand-up',7,0,NULL,'',NULL,'2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',NULL);
INSERT INTO "rooms" VALUES('7bd9dd39-df48-4923-a51c-67731e16eda0','c8cec94b-b31b-42a4-9643-d51475d2d143',NULL,10,0,'http://127.0.0.1:1/hook','',NULL,'2026-02-02 22:25:27.521992','2026-02-02 22:25:27.521992',NULL);
CREATE TABLE signing_keys (
	id VARCHAR(36) NOT NULL, 
	purpose VARCHAR(32) NOT NULL, 
	secret VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	retired_at DATETIME, 
	CONSTRAINT pk_signing_keys PRIMARY KEY (id)
);
INSERT INTO "signing_keys" VALUES('85204705-7fd6-47b9-a07c-3f6f491ae91d','token','7UKu6iIrJe6BxVGllcmFg7+X63CrYQFyvv601uQzepo=','2026-02-02 22:25:27.521992',NULL);
INSERT INTO "signing_keys" VALUES('7db6e8c8-1f74-42e9-bccd-c352673bae43','invite','fW+3Vp78RBm4tR8TU0f5UcJtU7OY+g3P+C75S9yopa0=','2026-02-02 22:25:27.521992',NULL);
CREATE UNIQUE INDEX uq_signing_keys_current ON signing_keys (purpose) WHERE retired_at IS NULL;
CREATE INDEX ix_rooms_account_id_created_at ON rooms (account_id, created_at, id);
CREATE UNIQUE INDEX uq_rooms_account_id_unique_name ON rooms (account_id, unique_name) WHERE deleted_at IS NULL;
CREATE INDEX ix_events_account_id_seq ON events (account_id, seq);
CREATE INDEX ix_events_room_id_seq ON events (room_id, seq);
CREATE INDEX ix_room_sessions_account_id_created_at ON room_sessions (account_id, created_at, id);
CREATE INDEX ix_room_sessions_room_id_created_at ON room_sessions (room_id, created_at, id);
CREATE UNIQUE INDEX uq_room_sessions_active ON room_sessions (room_id) WHERE active;
CREATE INDEX ix_room_participants_account_id_joined_at ON room_participants (account_id, joined_at, id);
CREATE INDEX ix_room_participants_present ON room_participants (gateway_id) WHERE left_at IS NULL;
CREATE INDEX ix_room_participants_session_id_joined_at ON room_participants (session_id, joined_at, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',5);
COMMIT;
