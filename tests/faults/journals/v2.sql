-- A journal of schema version 2, as an agent of that time left it. Never changed.
BEGIN TRANSACTION;
CREATE TABLE boot (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            offset_s REAL
        );
INSERT INTO "boot" VALUES(1,'5e0f3c1a-7a44-4d55-9c1e-2f6a0b9d3e11',1780000000.0);
CREATE TABLE document (
            tbl TEXT NOT NULL,
            key TEXT NOT NULL,
            value TEXT NOT NULL, crc INTEGER,
            PRIMARY KEY (tbl, key)
        ) WITHOUT ROWID;
INSERT INTO "document" VALUES('token','04a1b2c3','{"status":"Accepted"}',136306780);
CREATE TABLE history (
            id INTEGER PRIMARY KEY,
            identity TEXT NOT NULL UNIQUE,
            evse INTEGER NOT NULL,
            token TEXT NOT NULL DEFAULT '',
            start_boot INTEGER REFERENCES boot (id),
            start_monotonic_s REAL,
            start_utc_s REAL,
            start_wh REAL,
            end_boot INTEGER REFERENCES boot (id),
            end_monotonic_s REAL,
            end_utc_s REAL,
            end_wh REAL,
            reason TEXT NOT NULL DEFAULT '',
            network_number INTEGER,
            end_seq INTEGER,
            delivered INTEGER NOT NULL DEFAULT 0
        , number_crc INTEGER);
INSERT INTO "history" VALUES(1,'00000000-1111-4222-8333-444455556666',1,'04A1B2C3',1,10.0,1780000010.0,5000.0,1,70.0,1780000070.0,5400.0,'Local',1,3,1,71405314);
INSERT INTO "history" VALUES(2,'00000001-1111-4222-8333-444455556666',2,'04A1B2C3',1,110.0,1780000110.0,6000.0,1,170.0,1780000170.0,6400.0,'Local',NULL,6,0,NULL);
INSERT INTO "history" VALUES(3,'00000002-1111-4222-8333-444455556666',1,'04A1B2C3',1,210.0,1780000210.0,7000.0,1,270.0,1780000270.0,7400.0,'Local',NULL,9,0,NULL);
INSERT INTO "history" VALUES(4,'00000003-1111-4222-8333-444455556666',2,'04A1B2C3',1,310.0,1780000310.0,8000.0,1,370.0,1780000370.0,8400.0,'Local',NULL,12,0,NULL);
INSERT INTO "history" VALUES(5,'00000004-1111-4222-8333-444455556666',1,'04A1B2C3',1,410.0,1780000410.0,9000.0,1,470.0,1780000470.0,9400.0,'Local',NULL,15,0,NULL);
INSERT INTO "history" VALUES(6,'00000005-1111-4222-8333-444455556666',2,'04A1B2C3',1,510.0,1780000510.0,10000.0,NULL,NULL,NULL,NULL,'',NULL,NULL,0,NULL);
CREATE TABLE parked (
            seq INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            body TEXT NOT NULL,
            boot INTEGER NOT NULL REFERENCES boot (id),
            monotonic_s REAL NOT NULL,
            utc_s REAL NOT NULL,
            synced INTEGER NOT NULL,
            message_id TEXT NOT NULL,
            crc INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            reason TEXT NOT NULL
        );
CREATE TABLE record (
            seq INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            body TEXT NOT NULL,
            boot INTEGER NOT NULL REFERENCES boot (id),
            monotonic_s REAL NOT NULL,
            utc_s REAL NOT NULL,
            synced INTEGER NOT NULL,
            message_id TEXT NOT NULL,
            crc INTEGER NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            error TEXT NOT NULL DEFAULT '',
            delivered INTEGER NOT NULL DEFAULT 0
        );
INSERT INTO "record" VALUES(4,'started','{"transaction":"00000001-1111-4222-8333-444455556666","evse":2,"token":"04A1B2C3","token_kind":"ISO14443","meter_wh":6000.0,"trigger":"Authorized","offline":true}',1,110.0,1780000110.0,1,'6d6c24a8-2c5a-43c8-914c-ac9e82a1413a',2217280943,0,'',0);
INSERT INTO "record" VALUES(5,'sampled','{"transaction":"00000001-1111-4222-8333-444455556666","evse":2,"samples":[{"measurand":"Energy.Active.Import.Register","value":6200.0,"unit":"Wh"}],"offline":true}',1,140.0,1780000140.0,1,'77d1fcd3-cd30-4c83-bc7f-2831d56120c1',1321651867,0,'',0);
INSERT INTO "record" VALUES(6,'ended','{"transaction":"00000001-1111-4222-8333-444455556666","evse":2,"meter_wh":6400.0,"reason":"Local","offline":true}',1,170.0,1780000170.0,1,'266eea9b-38c5-49db-b9c5-c82abd309fed',1797431953,0,'',0);
INSERT INTO "record" VALUES(7,'started','{"transaction":"00000002-1111-4222-8333-444455556666","evse":1,"token":"04A1B2C3","token_kind":"ISO14443","meter_wh":7000.0,"trigger":"Authorized","offline":true}',1,210.0,1780000210.0,1,'3d8269c0-566b-4ce8-b66f-e2f861413363',2830581858,0,'',0);
INSERT INTO "record" VALUES(8,'sampled','{"transaction":"00000002-1111-4222-8333-444455556666","evse":1,"samples":[{"measurand":"Energy.Active.Import.Register","value":7200.0,"unit":"Wh"}],"offline":true}',1,240.0,1780000240.0,1,'55c674d4-6897-466d-899e-e0d99cdccf66',1480672106,0,'',0);
INSERT INTO "record" VALUES(9,'ended','{"transaction":"00000002-1111-4222-8333-444455556666","evse":1,"meter_wh":7400.0,"reason":"Local","offline":true}',1,270.0,1780000270.0,1,'d883f62f-3cd1-41d3-8487-c1ee792a8d4d',1501487580,0,'',0);
INSERT INTO "record" VALUES(10,'started','{"transaction":"00000003-1111-4222-8333-444455556666","evse":2,"token":"04A1B2C3","token_kind":"ISO14443","meter_wh":8000.0,"trigger":"Authorized","offline":true}',1,310.0,1780000310.0,1,'47136519-4320-4dc8-a694-4fbe85cccc16',3391521235,0,'',0);
INSERT INTO "record" VALUES(11,'sampled','{"transaction":"00000003-1111-4222-8333-444455556666","evse":2,"samples":[{"measurand":"Energy.Active.Import.Register","value":8200.0,"unit":"Wh"}],"offline":true}',1,340.0,1780000340.0,1,'df15f154-9941-4238-8c68-4fa018fae0fe',1263132648,0,'',0);
INSERT INTO "record" VALUES(12,'ended','{"transaction":"00000003-1111-4222-8333-444455556666","evse":2,"meter_wh":8400.0,"reason":"Local","offline":true}',1,370.0,1780000370.0,1,'4a2c45af-fdb7-474e-983d-f4c4a8a5a3ce',791608997,0,'',0);
INSERT INTO "record" VALUES(13,'started','{"transaction":"00000004-1111-4222-8333-444455556666","evse":1,"token":"04A1B2C3","token_kind":"ISO14443","meter_wh":9000.0,"trigger":"Authorized","offline":true}',1,410.0,1780000410.0,1,'e0106843-89a5-454e-af2a-0f101d64904a',3552201412,0,'',0);
INSERT INTO "record" VALUES(14,'sampled','{"transaction":"00000004-1111-4222-8333-444455556666","evse":1,"samples":[{"measurand":"Energy.Active.Import.Register","value":9200.0,"unit":"Wh"}],"offline":true}',1,440.0,1780000440.0,1,'d2b2074b-cea2-432a-a180-023f3409f9b6',230678847,0,'',0);
INSERT INTO "record" VALUES(15,'ended','{"transaction":"00000004-1111-4222-8333-444455556666","evse":1,"meter_wh":9400.0,"reason":"Local","offline":true}',1,470.0,1780000470.0,1,'a5a78085-0bb0-4790-92b6-d7396d75bf9b',2527141517,0,'',0);
INSERT INTO "record" VALUES(16,'started','{"transaction":"00000005-1111-4222-8333-444455556666","evse":2,"token":"04A1B2C3","token_kind":"ISO14443","meter_wh":10000.0,"trigger":"Authorized","offline":true}',1,510.0,1780000510.0,1,'83c253c6-9a58-488e-acad-3612719bd88c',2248552750,0,'',0);
INSERT INTO "record" VALUES(17,'sampled','{"transaction":"00000005-1111-4222-8333-444455556666","evse":2,"samples":[{"measurand":"Energy.Active.Import.Register","value":10200.0,"unit":"Wh"}],"offline":true}',1,540.0,1780000540.0,1,'bdc33a3b-3086-4683-8528-ae4ba1336c83',3972503112,0,'',0);
CREATE INDEX history_number ON history (network_number) WHERE network_number IS NOT NULL;
CREATE INDEX history_end_seq ON history (end_seq) WHERE end_seq IS NOT NULL;
COMMIT;
PRAGMA user_version = 2;
