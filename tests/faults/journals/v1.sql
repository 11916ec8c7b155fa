-- A journal of schema version 1, as an agent of that time left it. Never changed.
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
            value TEXT NOT NULL,
            PRIMARY KEY (tbl, key)
        ) WITHOUT ROWID;
INSERT INTO "document" VALUES('token','04a1b2c3','{"status":"Accepted"}');
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
        );
INSERT INTO "history" VALUES(1,'00000000-1111-4222-8333-444455556666',1,'04A1B2C3',1,10.0,1780000010.0,5000.0,1,70.0,1780000070.0,5400.0,'Local',1,3,1);
INSERT INTO "history" VALUES(2,'00000001-1111-4222-8333-444455556666',2,'04A1B2C3',1,110.0,1780000110.0,6000.0,1,170.0,1780000170.0,6400.0,'Local',NULL,6,0);
INSERT INTO "history" VALUES(3,'00000002-1111-4222-8333-444455556666',1,'04A1B2C3',1,210.0,1780000210.0,7000.0,1,270.0,1780000270.0,7400.0,'Local',NULL,9,0);
INSERT INTO "history" VALUES(4,'00000003-1111-4222-8333-444455556666',2,'04A1B2C3',1,310.0,1780000310.0,8000.0,1,370.0,1780000370.0,8400.0,'Local',NULL,12,0);
INSERT INTO "history" VALUES(5,'00000004-1111-4222-8333-444455556666',1,'04A1B2C3',1,410.0,1780000410.0,9000.0,1,470.0,1780000470.0,9400.0,'Local',NULL,15,0);
INSERT INTO "history" VALUES(6,'00000005-1111-4222-8333-444455556666',2,'04A1B2C3',1,510.0,1780000510.0,10000.0,NULL,NULL,NULL,NULL,'',NULL,NULL,0);
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
INSERT INTO "record" VALUES(4,'started','{"transaction":"00000001-1111-4222-8333-444455556666","evse":2,"token":"04A1B2C3","token_kind":"ISO14443","meter_wh":6000.0,"trigger":"Authorized","offline":true}',1,110.0,1780000110.0,1,'4d71e8ef-0025-4c08-b025-82350991eaf8',3325859701,0,'',0);
INSERT INTO "record" VALUES(5,'sampled','{"transaction":"00000001-1111-4222-8333-444455556666","evse":2,"samples":[{"measurand":"Energy.Active.Import.Register","value":6200.0,"unit":"Wh"}],"offline":true}',1,140.0,1780000140.0,1,'3a78fda8-195d-451e-889b-f308eeb16241',3239175614,0,'',0);
INSERT INTO "record" VALUES(6,'ended','{"transaction":"00000001-1111-4222-8333-444455556666","evse":2,"meter_wh":6400.0,"reason":"Local","offline":true}',1,170.0,1780000170.0,1,'be25299c-fc5b-4932-8e1e-504e853d3df4',433577738,0,'',0);
INSERT INTO "record" VALUES(7,'started','{"transaction":"00000002-1111-4222-8333-444455556666","evse":1,"token":"04A1B2C3","token_kind":"ISO14443","meter_wh":7000.0,"trigger":"Authorized","offline":true}',1,210.0,1780000210.0,1,'02ddfb02-819d-4322-a09d-a27d9e8204c9',132268976,0,'',0);
INSERT INTO "record" VALUES(8,'sampled','{"transaction":"00000002-1111-4222-8333-444455556666","evse":1,"samples":[{"measurand":"Energy.Active.Import.Register","value":7200.0,"unit":"Wh"}],"offline":true}',1,240.0,1780000240.0,1,'85f93d84-eb81-4830-93ad-329c673de34a',2143111828,0,'',0);
INSERT INTO "record" VALUES(9,'ended','{"transaction":"00000002-1111-4222-8333-444455556666","evse":1,"meter_wh":7400.0,"reason":"Local","offline":true}',1,270.0,1780000270.0,1,'cf23c8ab-728d-4500-aec3-e4863249f18a',2872561167,0,'',0);
INSERT INTO "record" VALUES(10,'started','{"transaction":"00000003-1111-4222-8333-444455556666","evse":2,"token":"04A1B2C3","token_kind":"ISO14443","meter_wh":8000.0,"trigger":"Authorized","offline":true}',1,310.0,1780000310.0,1,'c78bf299-1a4f-409e-be35-6493fc541a6e',579015830,0,'',0);
INSERT INTO "record" VALUES(11,'sampled','{"transaction":"00000003-1111-4222-8333-444455556666","evse":2,"samples":[{"measurand":"Energy.Active.Import.Register","value":8200.0,"unit":"Wh"}],"offline":true}',1,340.0,1780000340.0,1,'5d0c1087-9ec8-47cf-9a35-0f29a32081df',2396914910,0,'',0);
INSERT INTO "record" VALUES(12,'ended','{"transaction":"00000003-1111-4222-8333-444455556666","evse":2,"meter_wh":8400.0,"reason":"Local","offline":true}',1,370.0,1780000370.0,1,'240e9e0e-2f14-42ca-bf00-dc721cbf9c94',633930695,0,'',0);
INSERT INTO "record" VALUES(13,'started','{"transaction":"00000004-1111-4222-8333-444455556666","evse":1,"token":"04A1B2C3","token_kind":"ISO14443","meter_wh":9000.0,"trigger":"Authorized","offline":true}',1,410.0,1780000410.0,1,'94fbaf37-5655-4b6a-9adf-825e72c8b136',414280238,0,'',0);
INSERT INTO "record" VALUES(14,'sampled','{"transaction":"00000004-1111-4222-8333-444455556666","evse":1,"samples":[{"measurand":"Energy.Active.Import.Register","value":9200.0,"unit":"Wh"}],"offline":true}',1,440.0,1780000440.0,1,'7754c96c-dd20-40b2-a57e-0f60a9735446',2488703216,0,'',0);
INSERT INTO "record" VALUES(15,'ended','{"transaction":"00000004-1111-4222-8333-444455556666","evse":1,"meter_wh":9400.0,"reason":"Local","offline":true}',1,470.0,1780000470.0,1,'c4a661d7-7bfd-48ec-8920-a211be4b90d4',2358088731,0,'',0);
INSERT INTO "record" VALUES(16,'started','{"transaction":"00000005-1111-4222-8333-444455556666","evse":2,"token":"04A1B2C3","token_kind":"ISO14443","meter_wh":10000.0,"trigger":"Authorized","offline":true}',1,510.0,1780000510.0,1,'4bd12217-0966-4ca0-8af6-2305f0a0b4ee',1611967517,0,'',0);
INSERT INTO "record" VALUES(17,'sampled','{"transaction":"00000005-1111-4222-8333-444455556666","evse":2,"samples":[{"measurand":"Energy.Active.Import.Register","value":10200.0,"unit":"Wh"}],"offline":true}',1,540.0,1780000540.0,1,'ba8c75ea-c3ce-4ac1-9fe7-943ca8e772e6',2652837323,0,'',0);
CREATE INDEX history_number ON history (network_number) WHERE network_number IS NOT NULL;
CREATE INDEX history_end_seq ON history (end_seq) WHERE end_seq IS NOT NULL;
COMMIT;
PRAGMA user_version = 1;
