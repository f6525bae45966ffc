CREATE TABLE `files` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`created_at` integer NOT NULL,
	`filename` text NOT NULL,
	`bytes` integer NOT NULL,
	`purpose` text NOT NULL,
	`status` text NOT NULL,
	`status_details` text,
	`expires_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `files_id_unique` ON `files` (`id`);--> statement-breakpoint
CREATE INDEX `files_of_purpose` ON `files` (`purpose`,`seq`);--> statement-breakpoint
CREATE INDEX `files_to_expire` ON `files` (`expires_at`) WHERE "files"."expires_at" IS NOT NULL;--> statement-breakpoint
CREATE TABLE `upload_parts` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`created_at` integer NOT NULL,
	`upload_id` text NOT NULL,
	`bytes` integer NOT NULL,
	FOREIGN KEY (`upload_id`) REFERENCES `uploads`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `upload_parts_id_unique` ON `upload_parts` (`id`);--> statement-breakpoint
CREATE INDEX `parts_of_upload` ON `upload_parts` (`upload_id`);--> statement-breakpoint
CREATE TABLE `uploads` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`created_at` integer NOT NULL,
	`filename` text NOT NULL,
	`bytes` integer NOT NULL,
	`purpose` text NOT NULL,
	`status` text NOT NULL,
	`expires_at` integer NOT NULL,
	`file_lifetime` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `uploads_id_unique` ON `uploads` (`id`);--> statement-breakpoint
CREATE INDEX `uploads_to_expire` ON `uploads` (`expires_at`) WHERE status = 'pending';