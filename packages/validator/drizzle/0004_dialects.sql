CREATE TABLE "receipts" (
	"job_uuid" uuid NOT NULL,
	"type" text NOT NULL,
	"payload" jsonb NOT NULL,
	"signature" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "receipts_job_uuid_type_pk" PRIMARY KEY("job_uuid","type")
);
--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "stage" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "message" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "dialect" text;--> statement-breakpoint
CREATE INDEX "receipts_created_at" ON "receipts" USING btree ("created_at");